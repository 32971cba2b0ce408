"""Backing up a platform, while it runs, as of one position of its log.

A folder of backups holds one folder for each, named after its position, and the blobs of all:

    <position>/manifest.json      the position, the root and the signed checkpoint there, the digest of every file
    <position>/events.jsonl.gz    the log up to the position
    <position>/blobs.txt          which blobs belong to it
    <position>/databases/         what no event tells: points of metrics, predictions, windows with their labels, keys
    <position>/checkpoints.jsonl  what was signed before
    <position>/secrets/           only when asked for: the platform's tokens and keys, and the key that signs the log
    blobs/                        what artifacts, datasets and profiles are made of, each named by its SHA-256

The log only grows, so what is read of it up to a position is one consistent state, whoever writes at the same time.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelog_common.domain.errors import Conflict, Invalid, NotFound, Unavailable
from modelog_common.events.store import EventStore
from modelog_lineage.app import KEY_FILE, TREE_FILE
from modelog_lineage.audit.records import record_of
from modelog_proofs import Checkpoint, Frontier, PrivateKey, event_hash, export_line, parse_private_key, sign_checkpoint
from modelog_proofs.keys import encode_base64

from modelog_platform.log.blobs import copy_out
from modelog_platform.log.curves import curves_out
from modelog_platform.log.files import Progress, copy_database, copy_file, described, write_whole
from modelog_platform.log.keys import KEY_STORE, keys_out
from modelog_platform.log.places import Places, places_in, told
from modelog_platform.log.transfer import new_file

FORMAT = "modelog.backup/1"
MANIFEST = "manifest.json"
EVENTS = "events.jsonl.gz"
BLOBS, BLOB_LIST = "blobs", "blobs.txt"
CHECKPOINTS = "checkpoints.jsonl"
DATABASES, SECRETS = "databases", "secrets"
AUDIT_KEY = f"{SECRETS}/{KEY_FILE}"
# Everything else in the data folder is made again from the log. Windows come before the predictions that they are made
# of: a copy must not have seen what the other has not. So do the log's events before the curves that they vouch for.
# Each worker process of serving has predictions of its own.
KEPT_DATABASES = (
    "registry/curves.db",
    "registry/webhooks.db",
    "monitoring/windows.db",
    "serving/predictions.db",
    "serving/workers/*/predictions.db",
)
# What was written beside such a file and is not in it yet; read before it, so that nothing is missed between.
JOURNALS = "{name}.[0-9]"
# What such a file names and does not have in itself; copied after it, as these only grow and go.
BESIDE = "{name}.bodies"
TRIES = 100
TELL_EVERY = 1000
# A checkpoint's size, root, note, and when it was signed.
SignedRow = tuple[int, bytes, str, str]


@dataclass(frozen=True)
class Source:
    """What is backed up: the services' data folder and, if they are wanted, the platform's secrets.

    `elsewhere` says where keys and blobs are, if they are not in that folder.
    """

    data: Path
    secrets: Path | None
    elsewhere: Places | None = None

    @property
    def places(self) -> Places:
        return self.elsewhere or places_in(self.data)


@dataclass(frozen=True)
class Made:
    """A backup that was made; `blobs` of them `copied` anew. `elsewhere`: what was not in the data directory."""

    position: int
    root: str
    is_signed: bool
    blobs: int
    copied: int
    elsewhere: tuple[str, ...] = ()


async def create(store: EventStore, source: Source, folder: Path, until: int | None, progress: Progress) -> Made:
    """Back up into `folder`, as of position `until` (None: the last one there is now); other backups there stay.

    Raises Conflict when the log is not what was signed; then nothing was backed up.
    """
    head = await store.head()
    position = head if until is None else until
    if not 1 <= position <= head:
        raise Invalid.field("until", f"is {position}; the log has the positions 1 to {head}")
    whole = folder / str(position)
    partial = whole.with_name(f"{position}.part")
    try:
        await asyncio.to_thread(_prepare, folder, partial)
        signed = await asyncio.to_thread(_signed_before, source.data / "lineage" / TREE_FILE, position)
        root = await _write_events(store, partial / EVENTS, position, {row[0]: row[1] for row in signed}, progress)
        await keys_out(source.places, partial / DATABASES / KEY_STORE)
        blobs, copied = await copy_out(source.places, folder / BLOBS, progress)
        _write_lines(partial / BLOB_LIST, blobs)
        await asyncio.to_thread(_copy_databases, source.data, partial)
        await curves_out(source.places, partial / DATABASES)
        is_signed = await asyncio.to_thread(_write_rest, source, partial, position, root, signed)
        await asyncio.to_thread(_put_in_place, partial, whole)
        return Made(position, encode_base64(root), is_signed, len(blobs), copied, tuple(told(source.places)))
    except OSError as error:
        raise Unavailable(f"the backup {folder} cannot be written: {error.strerror or error}") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, partial, True)


def _prepare(folder: Path, partial: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()


def _write_rest(source: Source, partial: Path, position: int, root: bytes, signed: list[SignedRow]) -> bool:
    """What was signed, the secrets, and the manifest over all; returns whether the log was signed."""
    note, public_key = _sign(source.data / "lineage" / KEY_FILE, position, root)
    _write_lines(partial / CHECKPOINTS, [_checkpoint_line(*row) for row in signed])
    _copy_secrets(source, partial)
    files = sorted(file for file in partial.rglob("*") if file.is_file())
    manifest = {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(),
        "position": position,
        "root": encode_base64(root),
        "checkpoint": note,
        "public_key": public_key,
        "files": {str(file.relative_to(partial)): described(file) for file in files},
    }
    write_whole(partial / MANIFEST, json.dumps(manifest, indent=2).encode())
    return bool(note)


def _put_in_place(partial: Path, whole: Path) -> None:
    """In place of an older backup of the same position, if there is one."""
    old = whole.with_name(f"{whole.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if whole.exists():
        whole.rename(old)
    partial.rename(whole)
    shutil.rmtree(old, ignore_errors=True)


async def _write_events(
    store: EventStore, file: Path, position: int, signed: Mapping[int, bytes], progress: Progress
) -> bytes:
    """Write the log up to a position; on the way its root is held against all that was signed. Returns the root."""
    frontier = Frontier()
    with new_file(file) as out:
        async for event in store.read_all(until=position):
            record = record_of(event)
            frontier.append(event_hash(record))
            if frontier.size in signed and signed[frontier.size] != frontier.root():
                raise Conflict(
                    f"the first {frontier.size} events of the store are not those that were signed: it was altered. "
                    "Nothing was backed up; see `modelog audit verify`"
                )
            out.write(export_line(record))
            if frontier.size % TELL_EVERY == 0 or frontier.size == position:
                progress("events", frontier.size, position)
    if frontier.size != position:
        raise Conflict(f"the store gave {frontier.size} events up to position {position}: some are missing")
    return frontier.root()


def _signed_before(tree: Path, position: int) -> list[SignedRow]:
    """The checkpoints that were signed up to a position: size, root, note, time."""
    if not tree.is_file():
        return []
    query = "SELECT size, root, note, signed_at FROM checkpoints WHERE size BETWEEN 1 AND ? ORDER BY size"
    try:
        with closing(sqlite3.connect(f"{tree.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return [(size, bytes(root), note, at) for size, root, note, at in db.execute(query, (position,))]
    except sqlite3.Error as error:
        raise Unavailable(f"the audit tree {tree} cannot be read: {error}") from error


def _sign(key_file: Path, position: int, root: bytes) -> tuple[str, str]:
    """A checkpoint at the position, and its key; empty texts when the log's key is not there."""
    if not key_file.is_file():
        return "", ""
    key: PrivateKey = parse_private_key(key_file.read_text("ascii"))
    return sign_checkpoint(Checkpoint(key.name, position, root), key), key.public_key.text()


def _checkpoint_line(size: int, root: bytes, note: str, at: str) -> str:
    return json.dumps({"size": size, "root": encode_base64(root), "note": note, "signed_at": at}, ensure_ascii=False)


def _copy_databases(data: Path, partial: Path) -> None:
    for name in KEPT_DATABASES:
        for file in sorted(data.glob(name)):
            target = partial / DATABASES / file.relative_to(data)
            for journal in sorted(file.parent.glob(JOURNALS.format(name=file.name))):
                if journal.stat().st_size:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    copy_file(journal, target.with_name(journal.name))
            for _ in range(TRIES):
                copy_database(file, target)
                if _copy_beside(file, target):
                    break
                # Something was dropped meanwhile: a copy that is made now does not name it any more.
            else:
                raise Unavailable(f"{file} names bodies that are not in {_beside(file)}; it cannot be backed up")


def _beside(file: Path) -> Path:
    return file.with_name(BESIDE.format(name=file.name))


def _copy_beside(file: Path, target: Path) -> bool:
    """Copy what the copy of a database names and lies beside the database; False where some of it is gone."""
    source, to = _beside(file), _beside(target)
    named = _named_beside(target)
    for former in to.glob("*"):
        if former.name not in named:
            former.unlink()
    for name in sorted(named):
        to.mkdir(exist_ok=True)
        try:
            # Of one that did not grow since it was copied, all is there.
            if not (to / name).exists() or (to / name).stat().st_size != (source / name).stat().st_size:
                copy_file(source / name, to / name)
        except FileNotFoundError:
            return False
    return True


def _named_beside(target: Path) -> set[str]:
    with closing(sqlite3.connect(target)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'body_file'").fetchone() is None:
            return set()
        return {f"{number:010}" for (number,) in db.execute("SELECT number FROM body_file WHERE batches > 0")}


def _copy_secrets(source: Source, partial: Path) -> None:
    if source.secrets is None:
        return
    if not source.secrets.is_dir():
        raise NotFound(f"there are no secrets in {source.secrets}")
    (partial / SECRETS).mkdir(mode=0o700)
    files = [file for file in sorted(source.secrets.iterdir()) if file.is_file() and not file.name.endswith(".part")]
    key = source.data / "lineage" / KEY_FILE
    for file in [*files, *([key] if key.is_file() else [])]:
        copy_file(file, partial / SECRETS / file.name)


def _write_lines(file: Path, lines: list[str]) -> None:
    write_whole(file, "".join(f"{line}\n" for line in lines).encode())
