"""Writing the events that a user may see into a file of JSON Lines, through the platform's API."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import IO, Callable, Iterator, Optional, cast

from modelog_proofs import EventRecord, export_line, recorded_at_text

from modelog.api.audit import Audit
from modelog.errors import Invalid, NotAllowed
from modelog.types import ExactEvent

PAGE = 500
Progress = Callable[[int, int], None]


def export_events(
    audit: Audit, file: Path, first: int = 1, until: Optional[int] = None, progress: Progress = lambda done, total: None
) -> int:
    """Write the events from position `first` up to `until` (None: the last one there is now); returns how many.

    The file's format is specified in modelog_proofs.export. Raises NotAllowed when the file exists.
    """
    head = audit.head()
    last = head if until is None else until
    if not 1 <= first <= last <= head:
        raise Invalid(f"the log has the positions 1 to {head}; {first} to {last} is no part of it")
    if file.exists():
        raise NotAllowed(f"{file} exists already; remove it, or choose another name")
    partial = file.with_name(file.name + ".part")
    written = 0
    try:
        with partial.open("wb") as raw:
            out = cast("IO[bytes]", gzip.GzipFile(file.name, "wb", fileobj=raw)) if file.suffix == ".gz" else raw
            for event in _events(audit, first, last):
                out.write(export_line(record_of(event)))
                written += 1
                progress(event.position - first + 1, last - first + 1)
            if out is not raw:
                out.close()
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(file)
    finally:
        if partial.exists():
            partial.unlink()
    return written


def record_of(event: ExactEvent) -> EventRecord:
    """The record of an event that was read with its exact data."""
    if event.recorded_at is None:
        raise Invalid(f"the event at position {event.position} has no time")
    return EventRecord(
        position=event.position,
        event_id=event.event_id,
        stream=event.stream,
        version=event.version,
        type=event.type,
        schema=event.schema,
        recorded_at=recorded_at_text(event.recorded_at),
        tenant=event.tenant,
        actor=event.actor,
        correlation=event.correlation_id,
        causation=event.causation_id,
        trace=event.trace_id,
        payload=event.data,
    )


def _events(audit: Audit, first: int, last: int) -> Iterator[ExactEvent]:
    after = first - 1
    while after < last:
        page = audit.exact_events(after, PAGE)
        if not page:
            return
        for event in page:
            if event.position > last:
                return
            yield event
        after = page[-1].position
