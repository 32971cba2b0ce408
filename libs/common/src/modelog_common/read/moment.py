"""The moment that a query looks at: a position of the log, from what the caller asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import EventStore

AS_OF = "read.as_of"


class ReadOptions(Protocol):
    """modelog.common.v1.ReadOptions."""

    as_of: str
    at_least: int


class Keeper(Protocol):
    """What answers: a projection of the log."""

    @property
    def position(self) -> int:
        """Everything up to this position is in the answers."""
        ...

    async def wait_for(self, position: int) -> None:
        """Wait until the answers cover `position`; raises Unavailable when they do not in time."""
        ...


async def moment_of(read: ReadOptions, store: EventStore, keeper: Keeper) -> int | None:
    """The position to look at, None for now; waits until the answers cover what the caller asks for.

    A time stands for the last position that was recorded by then. Raises Invalid, naming read.as_of or read.at_least,
    for a position that the log has not reached.
    """
    as_of = await as_of_position(read.as_of, store)
    wanted = max(as_of or 0, read.at_least)
    if wanted > keeper.position:
        _not_beyond(await store.head(), as_of, read)
        await keeper.wait_for(wanted)
    return as_of


async def head_of(read: ReadOptions, store: EventStore) -> int:
    """The log's last position as of the moment, for what the log itself answers; raises as `moment_of` does."""
    as_of = await as_of_position(read.as_of, store)
    head = await store.head()
    _not_beyond(head, as_of, read)
    return head if as_of is None else as_of


def _not_beyond(head: int, as_of: int | None, read: ReadOptions) -> None:
    for field, wanted in (("read.as_of", as_of or 0), ("read.at_least", read.at_least)):
        if wanted > head:
            raise Invalid.field(field, f"position {wanted} is in the future; the log's last position is {head}")


async def as_of_position(text: str, store: EventStore, field: str = AS_OF) -> int | None:
    """The position that "1234" or an RFC 3339 time stands for; None for "". Raises Invalid, naming `field`."""
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    return await store.position_at(_time(text, field))


async def as_of_time(text: str, store: EventStore) -> datetime | None:
    """The last time that an `as_of` covers; None when it has no end: for an empty text and for the newest position.

    A position stands for the time until the next event, for that is how long the log said nothing else.
    """
    if not text:
        return None
    if not text.isdecimal():
        return _time(text, AS_OF)
    async for later in store.read_all(after=int(text), until=int(text) + 1):
        return later.recorded_at - timedelta(microseconds=1)
    return None


def _time(text: str, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid.field(field, f"{text!r} is neither a position nor an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise Invalid.field(field, f"{text!r} lacks a time zone; end it with Z or an offset such as +02:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Invalid.field(field, f"{text!r} lies outside the years 1 to 9999 in UTC") from None
