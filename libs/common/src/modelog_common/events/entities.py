"""Load an entity from its stream, decide, append: the one way a command becomes events."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Conflict
from modelog_common.domain.ids import derived_id
from modelog_common.events.store import EventStore, NewEvent, StoredEvent
from modelog_common.events.types import EventTypes

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")
CACHED = 2000
TRIES = 5


@dataclass(frozen=True)
class Loaded(Generic[State]):
    """An entity as of its stream's version; `position` is that of its last event, 0 when there is none."""

    state: State
    version: int
    position: int


class Entities(Generic[State, Command, Event]):
    """All entities of one decider."""

    def __init__(self, store: EventStore, decider: Decider[State, Command, Event], types: EventTypes) -> None:
        self.decider = decider
        self._store = store
        self._types = types
        self._cache: OrderedDict[str, Loaded[State]] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def stream(self, entity_id: str) -> str:
        return f"{self.decider.category}-{entity_id}"

    async def load(self, entity_id: str, *, until: int | None = None) -> Loaded[State]:
        """The entity now, or as of a position; a stream without events gives the initial state."""
        return await self._fold(self.stream(entity_id), Loaded(self.decider.initial(), 0, 0), until)

    async def handle(self, entity_id: str, command: Command, ctx: Context) -> Loaded[State]:
        """Decide and append; returns the entity after its new events.

        The same request id again changes nothing and gives the entity as it is. Raises the decider's domain errors, and
        Conflict when somebody else kept winning.
        """
        stream = self.stream(entity_id)
        lock = self._locks.setdefault(stream, asyncio.Lock())
        async with lock:
            for _ in range(TRIES):
                loaded = await self._current(stream)
                if await self._store.find(_event_id(ctx, stream, 0)) is not None:
                    return loaded
                events = self.decider.decide(loaded.state, command, ctx)
                if not events:
                    return loaded
                try:
                    return await self._append(stream, loaded, events, ctx)
                except Conflict:
                    self._cache.pop(stream, None)
        raise Conflict(f"{stream} was changed by others {TRIES} times in a row; try again")

    async def _append(self, stream: str, loaded: Loaded[State], events: Sequence[Event], ctx: Context) -> Loaded[State]:
        new = [self._new_event(event, ctx, _event_id(ctx, stream, n)) for n, event in enumerate(events)]
        appended = await self._store.append(stream, new, expected=loaded.version)
        state = loaded.state
        for event in events:
            state = self.decider.evolve(state, event)
        return self._remember(stream, Loaded(state, appended.version, appended.position))

    def _new_event(self, event: Event, ctx: Context, event_id: str) -> NewEvent:
        name, schema, payload = self._types.encode(event)
        return NewEvent(
            event_id,
            name,
            schema,
            payload,
            ctx.tenant,
            ctx.actor,
            ctx.correlation_id,
            ctx.causation_id,
            ctx.trace_id,
        )

    async def _current(self, stream: str) -> Loaded[State]:
        """What is cached, brought up to date by the events that came since."""
        start = self._cache.get(stream) or Loaded(self.decider.initial(), 0, 0)
        return self._remember(stream, await self._fold(stream, start, None))

    async def _fold(self, stream: str, start: Loaded[State], until: int | None) -> Loaded[State]:
        state, version, position = start.state, start.version, start.position
        async for stored in self._store.read_stream(stream, after=version, until=until):
            state = self.decider.evolve(state, self.decode(stored))
            version, position = stored.version, stored.position
        return Loaded(state, version, position)

    def decode(self, stored: StoredEvent) -> Any:
        return self._types.decode(stored.type, stored.schema, stored.payload)

    def _remember(self, stream: str, loaded: Loaded[State]) -> Loaded[State]:
        self._cache[stream] = loaded
        self._cache.move_to_end(stream)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return loaded


def _event_id(ctx: Context, stream: str, n: int) -> str:
    return derived_id(ctx.request_id, stream, str(n))
