"""Load an entity from its stream, decide, append: the one way a command becomes events."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import structlog

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.snapshots import Snapshot, Snapshots, StateCodec
from modelog_common.events.store import EventStore, NewEvent, StoredEvent
from modelog_common.events.types import EventTypes

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")
CACHED = 2000
TRIES = 5
# A snapshot is taken each time a stream passes a multiple of this many events.
SNAPSHOT_EVERY = 500
log = structlog.get_logger()


@dataclass(frozen=True)
class Loaded(Generic[State]):
    """An entity as of its stream's version; position and id are of its last event, 0 and "" when there is none."""

    state: State
    version: int
    position: int
    event_id: str = ""


class Entities(Generic[State, Command, Event]):
    """All entities of one decider.

    With `snapshots`, long streams are not folded from their first event.
    """

    def __init__(
        self,
        store: EventStore,
        decider: Decider[State, Command, Event],
        types: EventTypes,
        snapshots: Snapshots | None = None,
    ) -> None:
        self.decider = decider
        self._store = store
        self._types = types
        self._snapshots = snapshots
        self._codec = StateCodec(decider)
        self._cache: OrderedDict[str, Loaded[State]] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def stream(self, entity_id: str) -> str:
        return f"{self.decider.category}-{entity_id}"

    async def load(self, entity_id: str, *, until: int | None = None) -> Loaded[State]:
        """The entity now, or as of a position; a stream without events gives the initial state."""
        return await self._from_log(self.stream(entity_id), until)

    async def current(self, entity_id: str) -> Loaded[State]:
        """The entity now, from what is kept of it in memory and the events that came since."""
        return await self._current(self.stream(entity_id))

    async def recent(self, entity_id: str) -> Loaded[State]:
        """The entity as this process last saw it, without a look at the log; what others appended may be missing."""
        stream = self.stream(entity_id)
        return self._cache.get(stream) or await self._current(stream)

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

    async def begin(self, entity_id: str, command: Command, ctx: Context) -> Loaded[State]:
        """As `handle`, for an entity that most likely has no events yet: nothing is read before the append."""
        stream = self.stream(entity_id)
        if stream not in self._cache:
            nothing = Loaded(self.decider.initial(), 0, 0)
            async with self._locks.setdefault(stream, asyncio.Lock()):
                events = self.decider.decide(nothing.state, command, ctx)
                with suppress(Conflict):
                    return await self._append(stream, nothing, events, ctx) if events else nothing
        return await self.handle(entity_id, command, ctx)

    async def _append(self, stream: str, loaded: Loaded[State], events: Sequence[Event], ctx: Context) -> Loaded[State]:
        new = [self._new_event(event, ctx, _event_id(ctx, stream, n)) for n, event in enumerate(events)]
        appended = await self._store.append(stream, new, expected=loaded.version)
        if appended.repeated:
            return await self._current(stream)
        state = loaded.state
        for event in events:
            state = self.decider.evolve(state, event)
        after = Loaded(state, appended.version, appended.position, new[-1].id)
        await self._keep(stream, loaded.version, after)
        return self._remember(stream, after)

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
        cached = self._cache.get(stream)
        found = await (self._fold(stream, cached, None) if cached is not None else self._from_log(stream, None))
        return self._remember(stream, found)

    async def _from_log(self, stream: str, until: int | None) -> Loaded[State]:
        start = await self._kept(stream, until)
        found = await self._fold(stream, start, until)
        if until is None:
            await self._keep(stream, start.version, found)
        return found

    async def _fold(self, stream: str, start: Loaded[State], until: int | None) -> Loaded[State]:
        state, version, position, event_id = start.state, start.version, start.position, start.event_id
        evolve, decode = self.decider.evolve, self._types.decode
        async for page in self._store.read_payloads(stream, after=version, until=until):
            for name, schema, payload in page.events:
                state = evolve(state, decode(name, schema, payload))
            version, position, event_id = page.version, page.position, page.event_id
        return Loaded(state, version, position, event_id)

    async def _kept(self, stream: str, until: int | None) -> Loaded[State]:
        """Where folding can begin: at the stream's snapshot, when it can be believed, else before the first event."""
        nothing = Loaded(self.decider.initial(), 0, 0)
        try:
            snapshot = await self._snapshots.find(stream) if self._snapshots is not None else None
        except Unavailable as trouble:
            log.warning("folded without a snapshot", stream=stream, why=str(trouble))
            return nothing
        if snapshot is None or (until is not None and snapshot.position > until):
            return nothing
        state = self._codec.decode(snapshot)
        if state is None or not await self._stands_on(snapshot):
            return nothing
        return Loaded(state, snapshot.version, snapshot.position, snapshot.event_id)

    async def _stands_on(self, snapshot: Snapshot) -> bool:
        """Whether the log has the event that the snapshot was taken after: it may be another log, or an older one."""
        found = await self._store.find(snapshot.event_id)
        known = (snapshot.stream, snapshot.version, snapshot.position)
        return found is not None and (found.stream, found.version, found.position) == known

    async def _keep(self, stream: str, before: int, loaded: Loaded[State]) -> None:
        """Take a snapshot when the stream passed a multiple of SNAPSHOT_EVERY; that it fails costs time only."""
        if self._snapshots is None or before // SNAPSHOT_EVERY == loaded.version // SNAPSHOT_EVERY:
            return
        at, code = (stream, loaded.version, loaded.position, loaded.event_id), self._codec.code
        try:
            await self._snapshots.keep(Snapshot(*at, code, self._codec.encode(loaded.state)).sealed())
        except (Unavailable, ValueError, OverflowError, TypeError) as trouble:
            log.warning("no snapshot was taken", stream=stream, why=str(trouble))

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
