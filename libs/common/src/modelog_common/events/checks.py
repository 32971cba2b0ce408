"""What every event store refuses before it writes: names, texts and sequences that the port does not allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import NewEvent, StoredEvent

# Indexes of every database hold a text of this size; the payload has no such limit.
MAX_TEXT_BYTES = 1024
MAX_APPEND_BYTES = 64 * 1024 * 1024
_TEXTS = ("id", "type", "tenant", "actor", "correlation_id", "causation_id", "trace_id")


def check_append(stream: str, events: Sequence[NewEvent]) -> None:
    """Raise Invalid, naming the field, for an append that no store takes."""
    if not events:
        raise Invalid.field("events", "is empty; an append takes at least one event")
    _check_stream("stream", stream)
    _check_texts(events)
    if len(events) > 1 and len({e.id for e in events}) != len(events):
        raise Invalid.field("events", "two events have the same id; ids must differ")


def check_restored(
    events: Sequence[StoredEvent], head: int, recorded_at: datetime | None, versions: Mapping[str, int]
) -> None:
    """Raise Invalid unless these events go on exactly where a store ends.

    `head` and `recorded_at` are those of the store's last event, `versions` those of the events' streams.
    """
    at = dict(versions)
    last = recorded_at
    for n, event in enumerate(events):
        field = f"events[{n}]"
        if event.position != head + 1 + n:
            raise Invalid.field(
                f"{field}.position", f"is {event.position}; the store goes on at position {head + 1 + n}"
            )
        at[event.stream] = at.get(event.stream, 0) + 1
        if event.version != at[event.stream]:
            raise Invalid.field(
                f"{field}.version", f"is {event.version}; {event.stream} goes on at version {at[event.stream]}"
            )
        if last is not None and event.recorded_at < last:
            raise Invalid.field(f"{field}.recorded_at", f"is {event.recorded_at}, before {last} of the event before it")
        last = event.recorded_at


def check_restored_texts(events: Sequence[StoredEvent]) -> None:
    """Raise Invalid for events to restore that could not have been appended, or are there twice."""
    for n, event in enumerate(events):
        _check_stream(f"events[{n}].stream", event.stream)
        if event.recorded_at.tzinfo is None:
            raise Invalid.field(f"events[{n}].recorded_at", "has no time zone; it needs one")
    _check_texts(events)
    if len({e.id for e in events}) != len(events):
        raise Invalid.field("events", "two events have the same id; ids must differ")


def _check_stream(field: str, stream: str) -> None:
    category, dash, name = stream.partition("-")
    if not (category and dash and name):
        raise Invalid.field(field, f"{stream[:80]!r} is not a stream name; it must look like category-id")
    _check_text(field, stream)


def _check_texts(events: Sequence[NewEvent | StoredEvent]) -> None:
    """All texts of an event are looked at in one go, since appends are frequent and bad ones are not."""
    size = 0
    for n, e in enumerate(events):
        together = f"{e.id}{e.type}{e.tenant}{e.actor}{e.correlation_id}{e.causation_id}{e.trace_id}"
        if not together.isascii() or "\0" in together or len(together) > MAX_TEXT_BYTES:
            for name in _TEXTS:
                _check_text(f"events[{n}].{name}", getattr(e, name))
        size += len(e.payload)
    if size > MAX_APPEND_BYTES:
        raise Invalid.field("events", f"carry {size:,} bytes of payload; one append takes at most {MAX_APPEND_BYTES:,}")


def _check_text(field: str, text: str) -> None:
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise Invalid.field(
            field, f"is not valid Unicode ({error.reason} at character {error.start}); it must be text without them"
        ) from error
    if "\0" in text:
        raise Invalid.field(field, f"holds the character NUL at {text.index(chr(0))}; any other character is allowed")
    if size_bytes > MAX_TEXT_BYTES:
        raise Invalid.field(field, f"has {size_bytes:,} bytes; at most {MAX_TEXT_BYTES:,} are allowed")
