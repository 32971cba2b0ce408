"""The projector: folds a service's own events into its read tables, rows and position in one transaction."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import structlog
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateIndex, CreateTable

from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.events.types import EventTypes
from modelog_common.read.database import advance, load_progress, make_schema, save_progress, transaction
from modelog_common.read.database import metadata as progress_metadata
from modelog_common.read.tables import Change, Dated, write
from modelog_common.rpc.call import patience_s

State = TypeVar("State")
BATCH = 5000
CACHED = 5000
# Stands in place of a schema while tables are being made.
UNFINISHED = "unfinished"
log = structlog.get_logger()


class Projection(Protocol):
    """Turns the events of one category into changes of rows."""

    @property
    def category(self) -> str: ...

    async def changes(self, stored: StoredEvent) -> Sequence[Change]:
        """The rows that this event changes. Called once for each event, in order."""
        ...

    def forget(self) -> None:
        """Drop what is kept in memory: the next event may be any."""
        ...


class Folded(Generic[State]):
    """The entities of one category after each of their events, which are asked for in order."""

    def __init__(self, store: EventStore, decider: Decider[State, Any, Any], types: EventTypes) -> None:
        self._store, self._decider, self._types = store, decider, types
        self._states: OrderedDict[str, tuple[State, int]] = OrderedDict()

    @property
    def category(self) -> str:
        return self._decider.category

    async def after(self, stored: StoredEvent) -> State:
        """The state after an event."""
        state, version = self._states.pop(stored.stream, (self._decider.initial(), 0))
        if version >= stored.version:  # a transaction was tried again
            state, version = self._decider.initial(), 0
        if version < stored.version - 1:
            async for earlier in self._store.read_stream(stored.stream, after=version, until=stored.position - 1):
                state = self._evolve(state, earlier)
        state = self._evolve(state, stored)
        self._states[stored.stream] = (state, stored.version)
        if len(self._states) > CACHED:
            self._states.popitem(last=False)
        return state

    def _evolve(self, state: State, stored: StoredEvent) -> State:
        return self._decider.evolve(state, self._types.decode(stored.type, stored.schema, stored.payload))

    def forget(self) -> None:
        """The next event may be any."""
        self._states.clear()


class EntityProjection(Generic[State]):
    """Projects an entity by its own `evolve`: the rows are made of the state after each event."""

    def __init__(
        self,
        store: EventStore,
        decider: Decider[State, Any, Any],
        types: EventTypes,
        rows: Callable[[State, StoredEvent], Sequence[Change]],
    ) -> None:
        self._folded, self._rows = Folded(store, decider, types), rows

    @property
    def category(self) -> str:
        return self._folded.category

    async def changes(self, stored: StoredEvent) -> Sequence[Change]:
        return self._rows(await self._folded.after(stored), stored)

    def forget(self) -> None:
        self._folded.forget()


class Projector:
    """Keeps the tables of `tables` up to date with the event store.

    Events that come within `rest_s` are written together, unless somebody waits: a transaction costs more than rows do.
    """

    def __init__(
        self,
        name: str,
        store: EventStore,
        engine: AsyncEngine,
        tables: MetaData,
        projections: Sequence[Projection],
        rest_s: float = 0.0,
    ) -> None:
        self.name = name
        self.error = ""
        self._rest_s = rest_s
        self._store, self._engine, self._tables = store, engine, tables
        self._projections = {p.category: p for p in projections}
        self._schema = _digest(tables, store.history)
        self._position = 0
        self._saved = 0
        self._whole_from: int | None = None
        self._ready = False
        self._moved = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._asked = asyncio.Event()

    @property
    def position(self) -> int:
        """Everything up to this position is in the tables."""
        return self._position

    async def start(self) -> None:
        """Open the tables; a database that is away is tried again by `run`."""
        async with self._turn:
            try:
                await self._open()
            except Unavailable as error:
                await self._report(error)
                log.warning("read tables are away", projection=self.name, error=str(error))

    async def _open(self) -> None:
        """Find the position in the tables; make them when there are none, or another release or log made them."""
        for projection in self._projections.values():
            projection.forget()
        await make_schema(self._engine)
        async with transaction(self._engine) as connection:
            await connection.run_sync(progress_metadata.create_all)
            known = await load_progress(connection, self.name)
        if known is None or known[0] != self._schema:
            if self._whole_from is not None and known is not None and known[0] != UNFINISHED:
                raise Unavailable(
                    f"the read tables of {self.name} were made again by another release, or for another log"
                )
            await self._make_empty()
        reached = known[1] if known is not None and known[0] == self._schema else 0
        head = await self._store.head()
        if reached > head:
            raise Unavailable(
                f"the log ends at position {head}, and the read tables of {self.name} hold events up to {reached}: the "
                "log was set back. Stop the services and run `modelog events renew`"
            )
        self._position = self._saved = reached
        self._whole_from = head
        self._ready = True

    async def _make_empty(self) -> None:
        """Drop the tables and make them. MariaDB commits each of these steps, so a mark says that they are not done."""
        async with transaction(self._engine) as connection:
            await save_progress(connection, self.name, UNFINISHED, 0)
        async with transaction(self._engine) as connection:
            await connection.run_sync(self._tables.drop_all)
            await connection.run_sync(self._tables.create_all)
        async with transaction(self._engine) as connection:
            await save_progress(connection, self.name, self._schema, 0)

    async def run(self) -> None:
        """Project until cancelled."""
        while True:
            try:
                await self.catch_up()
                self.error = ""
                await self._store.wait_beyond(self._position, timeout_s=30)
                if self._rest_s:
                    await self._rest()
            except Unavailable as error:
                await self._report(error)
                await asyncio.sleep(1)
            except Exception as error:
                # The event stays where it is and is tried again: skipping it would make the tables lie.
                await self._report(error)
                log.exception("projection failed", projection=self.name, position=self._position)
                await asyncio.sleep(1)

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rest_s):
                await self._asked.wait()
        self._asked.clear()

    async def _report(self, error: Exception) -> None:
        async with self._moved:
            self.error = f"{type(error).__name__}: {error}"
            self._moved.notify_all()

    async def catch_up(self) -> int:
        """Project everything that is in the store now; returns the position reached."""
        async with self._turn:
            while not await self._project():
                pass
            return self._position

    async def _project(self) -> bool:
        """Project to the head; False when another process moved the tables on, and this one has to look where to."""
        if not self._ready:
            await self._open()
        head = await self._store.head()
        batch: list[StoredEvent] = []
        async for stored in self._store.read_all(after=self._position, categories=list(self._projections), until=head):
            batch.append(stored)
            if len(batch) == BATCH:
                if not await self._apply(batch, stored.position):
                    return False
                batch = []
        if batch and not await self._apply(batch, head):
            return False
        await self._move_to(max(head, self._position))
        return True

    async def _apply(self, batch: Sequence[StoredEvent], position: int) -> bool:
        # Until it is known to be committed, where the tables stand is to be read from the tables.
        self._ready = False
        changes = [
            Dated(change, stored.tenant, stored.position)
            for stored in batch
            for change in await self._projections[stored.category].changes(stored)
        ]
        async with transaction(self._engine) as connection:
            if not await advance(connection, self.name, self._schema, self._saved, position):
                return False
            await write(connection, changes)
        self._saved, self._ready = position, True
        await self._move_to(position)
        return True

    async def _move_to(self, position: int) -> None:
        async with self._moved:
            self._position = position
            self._moved.notify_all()

    async def wait_for(self, position: int, timeout_s: float | None = None) -> None:
        """Wait until the tables cover `position`, as long as the caller does unless `timeout_s` says how long.

        Raises Unavailable when they do not in time, or cannot be used.
        """
        if self._position >= position:
            return
        timeout_s = patience_s() if timeout_s is None else timeout_s
        self._asked.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self._position >= position or self.error)
        if self._position >= position:
            return
        waited = "" if self.error else f" in {timeout_s:g} s"
        raise Unavailable(
            f"{self.name} is at position {self._position} and did not reach {position}{waited}. {self.error}".strip()
        )

    async def wait_until_whole(self) -> None:
        """Wait until the tables hold what the log held when they were opened: before, they lack what is true now."""
        if self._whole_from is None:
            raise Unavailable(f"{self.name} is not open yet. {self.error}".strip())
        await self.wait_for(self._whole_from)

    async def rebuild(self) -> int:
        """Drop every table and fold the whole log again; returns the position reached."""
        async with self._turn:
            self._ready = False
            if self._whole_from is None:
                await self._open()
            self._whole_from = await self._store.head()
            await self._move_to(0)
            await self._make_empty()
        return await self.catch_up()


def _digest(tables: MetaData, history: str) -> str:
    """A digest of the tables' shape and of the log's history: another's tables are built again, never migrated."""
    indexes = [i for t in tables.sorted_tables for i in sorted(t.indexes, key=lambda i: i.name or "")]
    shapes = [str(CreateTable(t)) for t in tables.sorted_tables] + [str(CreateIndex(i)) for i in indexes]
    return hashlib.sha256("".join([*shapes, history]).encode()).hexdigest()
