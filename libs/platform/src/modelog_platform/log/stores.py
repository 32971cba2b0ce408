"""Opening an event store by its address, and the events of stores as those of proofs and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from modelog_common.adapters import open_event_store
from modelog_common.config import SQLITE, Settings
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.events.store import EventStore, StoredEvent
from modelog_proofs import EventRecord, recorded_at_text


@asynccontextmanager
async def opened(address: str, *, make: bool = False) -> AsyncIterator[EventStore]:
    """The store at an address such as sqlite:///data/events.db; with `make` one that is not there yet is made.

    Raises Invalid for an address that is none, NotFound for a file that is not there, Unavailable for the rest.
    """
    file = Path(address.removeprefix(SQLITE)) if address.startswith(SQLITE) else None
    if file is not None and not make and not file.is_file():
        raise NotFound(f"there is no event store {file}")
    try:
        settings = Settings(data_dir=Path.cwd(), event_store=address)
    except Invalid:
        allowed = Settings.fields["event_store"].description
        raise Invalid.field("store", f"{shown(address)} is not an event store's address; allowed: {allowed}") from None
    store = await open_event_store(settings, SystemClock())
    try:
        yield store
    finally:
        await store.close()


def shown(address: str) -> str:
    """An address as messages may repeat it: without user and password."""
    scheme, mark, rest = address.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def stored_of(record: EventRecord, field: str) -> StoredEvent:
    """The event of a record, as a store holds it. Raises Invalid, naming `field`, for a time that would change."""
    try:
        recorded_at = datetime.fromisoformat(record.recorded_at)
        again = recorded_at_text(recorded_at)
    except ValueError as error:
        raise Invalid.field(field, f"is {record.recorded_at[:80]!r}, which is no time") from error
    if again != record.recorded_at:
        raise Invalid.field(field, f"is {record.recorded_at!r}; stores write it {again}, which would break the proofs")
    return StoredEvent(
        position=record.position,
        id=record.event_id,
        stream=record.stream,
        version=record.version,
        type=record.type,
        schema=record.schema,
        recorded_at=recorded_at,
        tenant=record.tenant,
        actor=record.actor,
        correlation_id=record.correlation,
        causation_id=record.causation,
        trace_id=record.trace,
        payload=record.payload,
    )
