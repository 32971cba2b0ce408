"""Verifying backups, and restoring a platform from one: verified by the proofs before it is put in place."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modelog_common.config import variable
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound, Unavailable
from modelog_lineage.app import KEY_FILE, TREE_FILE
from modelog_lineage.audit.records import record_of
from modelog_lineage.audit.treefile import Signed, TreeFile
from modelog_proofs import ExportFile, Frontier, ProofsError, event_hash, open_checkpoint, parse_private_key
from modelog_proofs.keys import encode_base64

from modelog_platform.folder import PlatformFolder
from modelog_platform.log.backup import BLOB_LIST, BLOBS, DATABASES, EVENTS, FORMAT, MANIFEST, SECRETS
from modelog_platform.log.blobs import copy_in
from modelog_platform.log.erased import erase_again, read_erasures
from modelog_platform.log.files import Progress, copy_file, described
from modelog_platform.log.keys import KEY_STORE, keys_in
from modelog_platform.log.places import new_places, with_bucket_of
from modelog_platform.log.stores import opened, shown
from modelog_platform.log.transfer import import_log
from modelog_platform.parts.ports import free_ports
from modelog_platform.processes import site_of
from modelog_platform.profile import EMBEDDED, SETTINGS
from modelog_platform.servers.catalogue import recipe_of
from modelog_platform.servers.running import RunningServer

HASHES_AT_ONCE = 10_000


@dataclass(frozen=True)
class Backup:
    """One backup in a folder of them."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def position(self) -> int:
        return int(self.manifest["position"])

    @property
    def blobs(self) -> Path:
        return self.folder.parent / BLOBS

    @property
    def made_at(self) -> datetime:
        return datetime.fromisoformat(self.manifest["made_at"])

    def blob_names(self) -> list[str]:
        """Where the blobs stand below the folders of blobs. Raises Invalid for a name that leads out of them."""
        names = (self.folder / BLOB_LIST).read_text().splitlines()
        for name in names:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise Invalid.field("backup", f"{self.folder / BLOB_LIST} names {name!r:.80}, which is no blob")
        return names


@dataclass(frozen=True)
class Target:
    """Where a platform is restored to; `store` is the address of its log, if that is not to be a file in it.

    `log_in` and `blobs_in` name the servers of the new platform's profile that are to keep its log and its blobs.
    `erased` is the list of those whose keys must not come back.
    """

    data_dir: Path
    store: str = ""
    until: int | None = None
    keep_audit_key: bool = False
    erased: Path | None = None
    log_in: str = EMBEDDED
    blobs_in: str = EMBEDDED


def choose(folder: Path, until: int | None) -> Backup:
    """The newest backup in a folder; for a position, the oldest one that reaches it. Raises NotFound."""
    found = sorted((_load(file.parent) for file in folder.glob(f"*/{MANIFEST}")), key=lambda backup: backup.position)
    if not found:
        raise NotFound(f"{folder} holds no backup")
    if until is None:
        return found[-1]
    reaching = [backup for backup in found if backup.position >= until]
    if not reaching or until < 1:
        last = found[-1].position
        raise Invalid.field("until", f"is {until}; the backups in {folder} hold the positions 1 to {last}")
    return reaching[0]


def _load(folder: Path) -> Backup:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            found = manifest["format"]
            raise Invalid.field("backup", f"{folder} has the format {found!r:.80}; this release reads {FORMAT}")
        return Backup(folder, {**manifest, "position": int(manifest["position"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid.field("backup", f"{folder / MANIFEST} cannot be read: {type(error).__name__}: {error}") from error


def failures(backup: Backup, key: str, progress: Progress) -> list[str]:
    """What is wrong with a backup, a sentence each; none when it is whole.

    `key` is the log's public key from elsewhere; empty, the backup's own is taken.
    """
    return [*_wrong_files(backup), *_wrong_blobs(backup, progress), *_wrong_events(backup, key, progress)]


def _wrong_files(backup: Backup) -> Iterator[str]:
    for name, expected in backup.manifest["files"].items():
        file = backup.folder / name
        if not file.is_file():
            yield f"{name} is missing."
        elif described(file) != expected:
            yield f"{name} was altered: it has not the SHA-256 {expected['sha256'][:16]}... that was noted."


def _wrong_blobs(backup: Backup, progress: Progress) -> Iterator[str]:
    if not (backup.folder / BLOB_LIST).is_file():
        return
    names = backup.blob_names()
    for n, name in enumerate(names, start=1):
        file = backup.blobs / name
        if not file.is_file():
            yield f"The blob {file.name} is missing."
        elif described(file)["sha256"] != file.name:
            yield f"The blob {file.name} was altered."
        progress("blobs", n, len(names))


def _wrong_events(backup: Backup, key: str, progress: Progress) -> Iterator[str]:
    frontier = Frontier()
    try:
        with ExportFile(backup.folder / EVENTS) as export:
            for record in export.events():
                frontier.append(event_hash(record))
                if frontier.size % 1000 == 0:
                    progress("events", frontier.size, backup.position)
        if frontier.size != backup.position:
            yield f"The log in it has {frontier.size} events, not {backup.position}."
        if encode_base64(frontier.root()) != backup.manifest["root"]:
            yield "The events do not give the root that was noted: at least one was altered."
        note, own = backup.manifest["checkpoint"], backup.manifest["public_key"]
        if note or key:
            signed = open_checkpoint(note, key or own)
            if (signed.size, signed.root) != (frontier.size, frontier.root()):
                yield "The events are not those that were signed."
    except ProofsError as error:
        yield str(error)


async def restore(backup: Backup, target: Target, key: str, progress: Progress) -> int:
    """Restore into a data directory that is not there yet or empty; returns the last position.

    Raises NotAllowed for a directory in use, Invalid, with all that is wrong, for a damaged backup: then nothing is put
    in place.
    """
    until = target.until or backup.position
    _check_target(backup, target, until)
    erasures = [] if target.erased is None else read_erasures(target.erased)
    wrong = await asyncio.to_thread(failures, backup, key, progress)
    if wrong:
        raise Invalid.field("backup", f"{backup.folder} is damaged, and nothing was restored. " + " ".join(wrong))
    partial = target.data_dir.with_name(target.data_dir.name + ".part")
    try:
        await asyncio.to_thread(shutil.rmtree, partial, True)
        data = partial / "data"
        data.mkdir(parents=True)
        await asyncio.to_thread(_restore_files, backup, partial, data, target.keep_audit_key)
        own = PlatformFolder(partial)
        async with _server(own, "events", target.log_in) as log, _server(own, "blobs", target.blobs_in) as bucket:
            store = target.store or log.get(variable("event_store"), "")
            places = new_places(data, store, bucket.get(variable("blobs"), ""))
            with with_bucket_of(bucket):
                await copy_in(backup.blobs, backup.blob_names(), places)
            await keys_in(backup.folder / DATABASES / KEY_STORE, places)
            if erasures:
                await erase_again(places.key_store, erasures)
            # Last, because a store that has got something is not filled again.
            await _restore_log(backup, places.event_store, until, progress)
        if target.log_in != EMBEDDED:
            own.keep_log_in(target.log_in)
        if target.blobs_in != EMBEDDED:
            own.keep_blobs_in(target.blobs_in)
        if target.keep_audit_key:
            await _restore_tree(backup, data / "lineage")
        await asyncio.to_thread(_put_in_place, partial, target.data_dir)
    except OSError as error:
        raise Unavailable(f"{target.data_dir} cannot be written: {error.strerror or error}") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, partial, True)
    return until


def _check_target(backup: Backup, target: Target, until: int) -> None:
    if target.data_dir.exists() and (not target.data_dir.is_dir() or any(target.data_dir.iterdir())):
        raise NotAllowed(f"{target.data_dir} is not empty; restore into a directory that is not there yet")
    if not target.keep_audit_key:
        return
    if until < backup.position:
        raise NotAllowed(
            f"the log was signed up to position {backup.position}; a log that goes on from {until} is another one and "
            "needs a key of its own: restore without --keep-audit-key"
        )
    if not (backup.folder / SECRETS / KEY_FILE).is_file():
        raise NotFound(f"{backup.folder} has no audit key: it was made without --secrets")


@asynccontextmanager
async def _server(folder: PlatformFolder, port: str, part: str) -> AsyncIterator[Mapping[str, str]]:
    """What the services of a new platform are told of the server behind a port, which runs; nothing without one."""
    if part == EMBEDDED:
        yield {}
        return
    folder.secrets.mkdir(mode=0o700, exist_ok=True)
    site = site_of(folder, part, free_ports(recipe_of(part).ports))
    server = RunningServer(part, site.folder, site, folder.password_file(part))
    try:
        await asyncio.to_thread(server.start)
        yield SETTINGS[port][part](site)
    finally:
        await asyncio.to_thread(server.stop)


async def _restore_log(backup: Backup, address: str, until: int, progress: Progress) -> None:
    """Fill the store, read it back, and hold its root against that of the backup, which was verified."""
    async with opened(address, make=True) as store:
        if await store.head():
            raise NotAllowed(f"the store {shown(address)} is not empty; restore into an empty one")
        moved = await import_log(
            store, backup.folder / EVENTS, lambda done, _: progress("events", done, until), until=until
        )
        frontier = Frontier()
        async for event in store.read_all():
            frontier.append(event_hash(record_of(event)))
    if (frontier.size, frontier.root()) != (until, moved.root):
        raise Unavailable(
            f"the store {shown(address)} does not give back what was written to it; nothing was put in place"
        )


def _restore_files(backup: Backup, root: Path, data: Path, keep_audit_key: bool) -> None:
    databases = backup.folder / DATABASES
    for file in databases.rglob("*"):
        if file.is_file() and file.name != KEY_STORE:
            _copy(file, data / file.relative_to(databases))
    secrets = backup.folder / SECRETS
    if secrets.is_dir():
        (root / SECRETS).mkdir(mode=0o700)
        for file in secrets.iterdir():
            if file.name != KEY_FILE:
                copy_file(file, root / SECRETS / file.name)
    if keep_audit_key:
        _copy(secrets / KEY_FILE, data / "lineage" / KEY_FILE)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    copy_file(source, target)


async def _restore_tree(backup: Backup, folder: Path) -> None:
    """The kept tree with the checkpoint of the backup, so that the log goes on under its key from what was signed."""
    key = parse_private_key((folder / KEY_FILE).read_text("ascii"))
    signed = open_checkpoint(backup.manifest["checkpoint"], key.public_key)
    tree = TreeFile(folder / TREE_FILE)
    try:
        hashes: list[bytes] = []
        done = 0
        with ExportFile(backup.folder / EVENTS) as export:
            for record in export.events():
                hashes.append(event_hash(record))
                if len(hashes) == HASHES_AT_ONCE:
                    done, hashes = await tree.extend(done + 1, hashes), []
        if hashes:
            await tree.extend(done + 1, hashes)
        kept = Signed(signed.size, signed.root, backup.manifest["checkpoint"])
        await tree.keep(kept, key.public_key.text(), backup.made_at)
    finally:
        await tree.close()


def _put_in_place(partial: Path, whole: Path) -> None:
    if whole.exists():
        whole.rmdir()  # it is empty
    partial.rename(whole)
