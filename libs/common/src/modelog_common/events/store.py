"""The port to the event store, and the records that pass through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

import msgspec


class NewEvent(msgspec.Struct, frozen=True):
    """An event that is to be appended."""

    id: str
    type: str
    schema: int
    payload: bytes
    tenant: str
    actor: str
    correlation_id: str = ""
    causation_id: str = ""
    trace_id: str = ""


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as the store holds it: the envelope, and the payload as JSON bytes."""

    position: int
    id: str
    stream: str
    version: int
    type: str
    schema: int
    recorded_at: datetime
    tenant: str
    actor: str
    correlation_id: str
    causation_id: str
    trace_id: str
    payload: bytes

    @property
    def category(self) -> str:
        return category_of(self.stream)


class Payloads(msgspec.Struct, frozen=True):
    """What a fold needs of events that follow each other in a stream, and where the last of them stands."""

    events: list[tuple[str, int, bytes]]
    """Type, schema and payload of each, at least one."""
    version: int
    position: int
    event_id: str


class Expected(Enum):
    """Expectations of a stream's version that are not a number."""

    ANY = "any"
    NONE = "none"


ExpectedVersion = int | Expected


class Appended(msgspec.Struct, frozen=True):
    """Where the last of the events stands: its position in the log and the stream's version after it."""

    position: int
    version: int
    repeated: bool = False


async def payloads_of(events: AsyncIterator[StoredEvent], page: int = 1000) -> AsyncIterator[Payloads]:
    """What read_payloads gives, for a store that has no shorter way to it than read_stream."""
    kept: list[tuple[str, int, bytes]] = []
    last: StoredEvent | None = None
    async for last in events:
        kept.append((last.type, last.schema, last.payload))
        if len(kept) == page:
            yield Payloads(kept, last.version, last.position, last.id)
            kept = []
    if kept and last is not None:
        yield Payloads(kept, last.version, last.position, last.id)


def category_of(stream: str) -> str:
    """ "registry.model" of "registry.model-<id>"."""
    return stream.partition("-")[0]


class EventStore(Protocol):
    """Append-only streams with one total order.

    Positions count from 1 without gaps. Readers never find a new event at or below a position they have passed.
    Stream versions count from 1; a stream that does not exist has version 0. `recorded_at` never goes back.
    The payload is kept as the bytes that were given. The texts of the envelope are valid Unicode without the character
    NUL, which some databases cannot hold, and at most 1,024 bytes each; other texts are refused with Invalid.
    """

    @property
    def history(self) -> str:
        """Which log this is: made with the store, and kept. A log that was restored elsewhere has another one.

        What was made of a log of another history may hold events that this one has not.
        """
        ...

    async def renew(self) -> None:
        """Give the log another history, because its database was set back by its own tools.

        For whoever opens the store from now on.
        """
        ...

    async def append(
        self, stream: str, events: Sequence[NewEvent], *, expected: ExpectedVersion = Expected.ANY
    ) -> Appended:
        """Append all events or none.

        Appending the same event ids to the same stream again gives the first answer, with `repeated` set.
        Raises Conflict when the stream's version is not the expected one, and when some but not all of the ids are
        there already or belong to another stream; Invalid for an empty list or a text that is not allowed, naming the
        field; Unavailable when the store did not answer. Whether the events were appended is then unknown, and the same
        append can be repeated.
        """
        ...

    async def restore(self, events: Sequence[StoredEvent]) -> None:
        """Append events as another store held them, with their own positions, versions and times: all or none.

        They must go on exactly where this store ends; Invalid names the first that does not.
        """
        ...

    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[StoredEvent]:
        """Events of one stream in order: versions above `after`, positions up to `until`."""
        ...

    def read_payloads(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[Payloads]:
        """The events of read_stream by the page, without what no fold looks at."""
        ...

    def read_all(
        self, *, after: int = 0, categories: Sequence[str] | None = None, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        """Events in position order: positions above `after` and up to `until`, of these categories or of all."""
        ...

    def subscribe(self, *, after: int = 0, categories: Sequence[str] | None = None) -> AsyncIterator[StoredEvent]:
        """As read_all, and then every new event as it comes, without gap or repeat; ends only when it is closed."""
        ...

    async def head(self) -> int:
        """The last position; 0 when the store is empty."""
        ...

    async def wait_beyond(self, position: int, timeout_s: float) -> int:
        """Wait until the head is above `position` or the time is over; returns the head."""
        ...

    async def position_at(self, moment: datetime) -> int:
        """The last position that was recorded at or before a moment; 0 when none was."""
        ...

    async def find(self, event_id: str) -> StoredEvent | None:
        """The event with this id."""
        ...

    async def close(self) -> None:
        """Stop the store's threads and close its files; unfinished appends fail."""
        ...
