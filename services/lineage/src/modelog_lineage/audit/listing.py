"""Finding events by filter, forwards or from the newest back, through the event store's port alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modelog_common.events.store import EventStore, StoredEvent

DEFAULT_LIMIT = 100
# What one answer may hold in payloads; the rest comes with the next question. A message ends at 32 MiB.
ANSWER_BYTES = 8 << 20
FIRST_STEP = 500
LONGEST_STEP = 16_000
# At most so many events are told together.
TOGETHER = 500

# Which streams are hidden from the caller.
HiddenOf = Callable[[Iterable[str]], Awaitable[frozenset[str]]]


@dataclass(frozen=True)
class Wanted:
    """Which events: empty texts mean any. `stream` is a stream's name, or a category when it has no id."""

    tenant: str
    stream: str = ""
    type: str = ""
    actor: str = ""

    @property
    def categories(self) -> Sequence[str] | None:
        return [self.stream] if self.stream and not self.is_one_stream else None

    @property
    def is_one_stream(self) -> bool:
        return "-" in self.stream

    def matches(self, event: StoredEvent) -> bool:
        return (
            event.tenant == self.tenant
            and (not self.is_one_stream or event.stream == self.stream)
            and (not self.type or event.type == self.type)
            and (not self.actor or event.actor == self.actor)
        )


async def find(
    store: EventStore, wanted: Wanted, *, after: int, limit: int, newest_first: bool, head: int
) -> list[StoredEvent]:
    """At most `limit` events (0 means 100), and at most ANSWER_BYTES of payloads but for a single event.

    Positions lie above `after`, and up to `head`; with `newest_first` below `after`, 0 meaning from `head`.
    """
    before = min(after or head + 1, head + 1)
    events = _backwards(store, wanted, before) if newest_first else _forwards(store, wanted, after, head)
    found: list[StoredEvent] = []
    size_bytes = 0
    async for event in events:
        if not wanted.matches(event):
            continue
        size_bytes += len(event.payload)
        if found and size_bytes > ANSWER_BYTES:
            break
        found.append(event)
        if len(found) == (limit or DEFAULT_LIMIT):
            break
    return found


async def in_sight(
    find_from: Callable[..., Awaitable[list[StoredEvent]]], hidden_of: HiddenOf, after: int, limit: int
) -> list[StoredEvent]:
    """The events that `find` finds and that the caller may see; where some are hidden, it looks on behind them."""
    wanted, seen = limit or DEFAULT_LIMIT, list[StoredEvent]()
    while len(seen) < wanted:
        found = await find_from(after=after, limit=wanted - len(seen))
        hidden = await hidden_of(event.stream for event in found)
        seen += [event for event in found if event.stream not in hidden]
        if not hidden:
            break
        after = found[-1].position
    return seen


async def _forwards(store: EventStore, wanted: Wanted, after: int, head: int) -> AsyncIterator[StoredEvent]:
    if wanted.is_one_stream:
        async for event in store.read_stream(wanted.stream, until=head):
            if event.position > after:
                yield event
        return
    async for event in store.read_all(after=after, categories=wanted.categories, until=head):
        yield event


async def _backwards(store: EventStore, wanted: Wanted, before: int) -> AsyncIterator[StoredEvent]:
    if wanted.is_one_stream:
        for event in reversed([e async for e in store.read_stream(wanted.stream, until=before - 1)]):
            yield event
        return
    upto, step = before - 1, FIRST_STEP
    while upto > 0:
        low = max(0, upto - step)
        for event in reversed([e async for e in store.read_all(after=low, categories=wanted.categories, until=upto)]):
            yield event
        upto, step = low, min(2 * step, LONGEST_STEP)


async def follow(
    store: EventStore, wanted: Wanted, after: int, until: Callable[[], Awaitable[None]]
) -> AsyncIterator[Sequence[StoredEvent]]:
    """Matching events above `after`, and then as they happen, until `until` is over: those together that are there."""
    ended = asyncio.ensure_future(until())
    events = aiter(store.subscribe(after=after, categories=wanted.categories))
    coming: asyncio.Future[StoredEvent] | None = None
    try:
        while not ended.done():
            coming = coming or asyncio.ensure_future(anext(events))
            await asyncio.wait((coming, ended), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                return
            found = [coming.result()]
            coming = asyncio.ensure_future(anext(events))
            while len(found) < TOGETHER and (await asyncio.wait((coming,), timeout=0))[0]:
                found.append(coming.result())
                coming = asyncio.ensure_future(anext(events))
            matching = [event for event in found if wanted.matches(event)]
            if matching:
                yield matching
    finally:
        await _cancelled(ended)
        if coming is not None:
            await _cancelled(coming)


async def _cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait((task,))
