"""Moving a log between stores through a file of JSON Lines: the same positions, the same bytes, the same proofs."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, cast

from modelog_common.domain.errors import Invalid, NotAllowed, Unavailable
from modelog_common.events.store import EventStore, StoredEvent
from modelog_lineage.audit.records import record_of
from modelog_proofs import (
    Audit,
    EventRecord,
    ExportFile,
    Frontier,
    Report,
    UnreadableStore,
    event_hash,
    export_line,
    open_checkpoint,
)

from modelog_platform.log.stores import stored_of

BATCH = 1000
BATCH_BYTES = 16 * 1024 * 1024
Progress = Callable[[int, int], None]
# A checkpoint's note, and the public key that checks it.
Signed = tuple[str, str]


@dataclass(frozen=True)
class Moved:
    """The events of a file: positions `first` to `last`, of which `added` were not in the store before.

    `root` is the Merkle root over all events up to `last`, when the file begins at position 1, else empty.
    """

    first: int
    last: int
    added: int
    root: bytes


async def export_log(store: EventStore, file: Path, first: int, until: int | None, progress: Progress) -> Moved:
    """Write the events from position `first` up to `until` (None: the last one there is now) into a new file.

    Raises Invalid for positions that are not there, NotAllowed when the file exists.
    """
    head = await store.head()
    last = head if until is None else until
    if not 1 <= first <= head:
        raise Invalid.field("from", f"is {first}; the log has the positions 1 to {head}")
    if not first <= last <= head:
        raise Invalid.field("until", f"is {last}; it must be from {first} to {head}, the log's last position")
    frontier = Frontier()
    with new_file(file) as out:
        async for event in store.read_all(after=first - 1, until=last):
            record = record_of(event)
            if first == 1:
                frontier.append(event_hash(record))
            out.write(export_line(record))
            if event.position % BATCH == 0:
                progress(event.position - first + 1, last - first + 1)
    progress(last - first + 1, last - first + 1)
    return Moved(first, last, 0, frontier.root() if first == 1 else b"")


@contextmanager
def new_file(file: Path) -> Iterator[IO[bytes]]:
    """A file that has its name once it is whole and on the disk; compressed when the name ends in .gz."""
    if file.exists():
        raise NotAllowed(f"{file} exists already; remove it, or choose another name")
    partial = file.with_name(file.name + ".part")
    try:
        with partial.open("wb") as raw:
            out = cast("IO[bytes]", gzip.GzipFile(file.name, "wb", fileobj=raw)) if file.suffix == ".gz" else raw
            yield out
            if out is not raw:
                out.close()
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(file)
    except OSError as error:
        raise Unavailable(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


async def import_log(
    store: EventStore,
    file: Path,
    progress: Progress,
    *,
    until: int | None = None,
    signed: tuple[str, str] | None = None,
) -> Moved:
    """Add the events of a file to a store, in whole batches; a store that has some of them already goes on from there.

    With `signed` nothing is added unless the store together with the file holds what was signed. Raises Invalid, naming
    the line, for a file or a store that does not fit.
    """
    head = await store.head()
    if signed is not None:
        report = await _verified(store, head, file, *signed)
        if not report.ok:
            raise Invalid.field("file", "is not what was signed: " + " ".join(report.failures))
    moved = Moved(0, 0, 0, b"")
    frontier = Frontier()
    with ExportFile(file) as export:
        records = _read(export, until)
        while batch := await asyncio.to_thread(_next_batch, records):
            if not moved.first:
                _check_beginning(batch[0], head)
                moved = Moved(batch[0].position, 0, 0, b"")
            added = await _add(store, head, moved.first, batch)
            if moved.first == 1:
                for record in batch:
                    frontier.append(event_hash(record))
            root = frontier.root() if moved.first == 1 else b""
            moved = Moved(moved.first, batch[-1].position, moved.added + added, root)
            progress(moved.last - moved.first + 1, 0)
    if not moved.first:
        raise Invalid.field("file", f"{file} holds no events")
    return moved


async def verified(store: EventStore, note: str, key: str, name: str) -> Report:
    """Hold all that a store has against a signed checkpoint."""
    return await _audit(store, await store.head(), None, note, key, name)


async def _verified(store: EventStore, head: int, file: Path, note: str, key: str) -> Report:
    return await _audit(store, head, file, note, key, str(file))


async def _audit(store: EventStore, head: int, file: Path | None, note: str, key: str, name: str) -> Report:
    audit = Audit(open_checkpoint(note, key), None)
    try:
        async for event in store.read_all(until=head):
            audit.add(record_of(event))
        if file is not None:
            await asyncio.to_thread(_add_file, audit, file, head)
    except UnreadableStore as error:
        audit.unreadable = error
    return audit.report(name)


def _add_file(audit: Audit, file: Path, after: int) -> None:
    with ExportFile(file) as export:
        for record in export.events():
            if record.position > after:
                audit.add(record)


def _read(export: ExportFile, until: int | None) -> Iterator[EventRecord]:
    try:
        for record in export.events():
            if until is not None and record.position > until:
                return
            yield record
    except UnreadableStore as error:
        raise Invalid.field("file", f"{export.path}: {error}") from error


def _next_batch(records: Iterator[EventRecord]) -> list[EventRecord]:
    batch: list[EventRecord] = []
    size_bytes = 0
    for record in islice(records, BATCH):
        batch.append(record)
        size_bytes += len(record.payload)
        if size_bytes > BATCH_BYTES:
            break
    return batch


def _check_beginning(first: EventRecord, head: int) -> None:
    if first.position > head + 1:
        raise Invalid.field(
            "file", f"begins at position {first.position}, but the store ends at {head}: the events between are missing"
        )


async def _add(store: EventStore, head: int, first: int, batch: Sequence[EventRecord]) -> int:
    """Compare what the store has, add what it has not; returns how many were added."""
    known = [record for record in batch if record.position <= head]
    if known:
        await _compare(store, first, known)
    try:
        new = [stored_of(record, f"events[{n}].time") for n, record in enumerate(batch[len(known) :])]
        if new:
            await store.restore(new)
    except Invalid as refused:
        raise _by_line(refused, batch[len(known)].position - first + 1) from refused
    return len(new)


async def _compare(store: EventStore, first: int, known: Sequence[EventRecord]) -> None:
    found: list[StoredEvent] = [
        event async for event in store.read_all(after=known[0].position - 1, until=known[-1].position)
    ]
    for record, event in zip(known, found, strict=True):
        if record_of(event) != record:
            raise Invalid.field(
                "file",
                f"line {record.position - first + 1}: the store has another event at position {record.position}; "
                "a file is added only to a store that holds the events before it, or none",
            )


def _by_line(refused: Invalid, first_line: int) -> Invalid:
    """ "events[4].version: ..." as "line 15: version ..."."""
    violation = refused.violations[0] if refused.violations else None
    if violation is None or not violation.field.startswith("events["):
        return Invalid.field("file", f"from line {first_line} on: {refused}")
    number, _, name = violation.field.removeprefix("events[").partition("]")
    return Invalid.field("file", f"line {first_line + int(number)}: {name.lstrip('.')} {violation.description}")
