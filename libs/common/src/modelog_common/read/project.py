"""The projector: folds a service's own events into its read tables, rows and position in one transaction."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateTable

from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.events.types import EventTypes
from modelog_common.read.database import load_progress, save_progress
from modelog_common.read.database import metadata as progress_metadata
from modelog_common.read.tables import Change, Dated, write

State = TypeVar("State")
BATCH = 500
CACHED = 5000
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


class EntityProjection(Generic[State]):
    """Projects an entity by its own `evolve`: the rows are made of the state after each event."""

    def __init__(
        self,
        store: EventStore,
        decider: Decider[State, Any, Any],
        types: EventTypes,
        rows: Callable[[State, StoredEvent], Sequence[Change]],
    ) -> None:
        self._store, self._decider, self._types, self._rows = store, decider, types, rows
        self._states: OrderedDict[str, tuple[State, int]] = OrderedDict()

    @property
    def category(self) -> str:
        return self._decider.category

    async def changes(self, stored: StoredEvent) -> Sequence[Change]:
        state, version = self._states.pop(stored.stream, (self._decider.initial(), 0))
        if version >= stored.version:  # a transaction was tried again
            state, version = self._decider.initial(), 0
        async for earlier in self._missing(stored, version):
            state = self._evolve(state, earlier)
        state = self._evolve(state, stored)
        self._states[stored.stream] = (state, stored.version)
        if len(self._states) > CACHED:
            self._states.popitem(last=False)
        return self._rows(state, stored)

    async def _missing(self, stored: StoredEvent, version: int) -> AsyncIterator[StoredEvent]:
        if version < stored.version - 1:
            async for earlier in self._store.read_stream(stored.stream, after=version, until=stored.position - 1):
                yield earlier

    def _evolve(self, state: State, stored: StoredEvent) -> State:
        return self._decider.evolve(state, self._types.decode(stored.type, stored.schema, stored.payload))

    def forget(self) -> None:
        self._states.clear()


class Projector:
    """Keeps the tables of `tables` up to date with the event store."""

    def __init__(
        self,
        name: str,
        store: EventStore,
        engine: AsyncEngine,
        tables: MetaData,
        projections: Sequence[Projection],
    ) -> None:
        self.name = name
        self.error = ""
        self._store, self._engine, self._tables = store, engine, tables
        self._projections = {p.category: p for p in projections}
        self._position = 0
        self._moved = asyncio.Condition()
        self._turn = asyncio.Lock()

    @property
    def position(self) -> int:
        """Everything up to this position is in the tables."""
        return self._position

    async def start(self) -> None:
        """Make the tables; drop and build them again when they were made by another release."""
        async with self._engine.begin() as connection:
            await connection.run_sync(progress_metadata.create_all)
            known = await load_progress(connection, self.name)
            if known is not None and known[0] == self._schema():
                self._position = known[1]
                await connection.run_sync(self._tables.create_all)
                return
            await self._make_empty(connection)

    async def _make_empty(self, connection: Any) -> None:
        await connection.run_sync(self._tables.drop_all)
        await connection.run_sync(self._tables.create_all)
        await save_progress(connection, self.name, self._schema(), 0)
        self._position = 0
        for projection in self._projections.values():
            projection.forget()

    def _schema(self) -> str:
        """A digest of the tables' shape: another release's tables are built again, never migrated."""
        shapes = "".join(str(CreateTable(t)) for t in self._tables.sorted_tables)
        return hashlib.sha256(shapes.encode()).hexdigest()

    async def run(self) -> None:
        """Project until cancelled."""
        while True:
            try:
                await self.catch_up()
                self.error = ""
                await self._store.wait_beyond(self._position, timeout_s=30)
            except Unavailable as error:
                self._report(error)
                await asyncio.sleep(1)
            except Exception as error:
                # The event stays where it is and is tried again: skipping it would make the tables lie.
                self._report(error)
                log.exception("projection failed", projection=self.name, position=self._position)
                await asyncio.sleep(1)

    def _report(self, error: Exception) -> None:
        self.error = f"{type(error).__name__}: {error}"

    async def catch_up(self) -> int:
        """Project everything that is in the store now; returns the position reached."""
        async with self._turn:
            head = await self._store.head()
            batch: list[StoredEvent] = []
            async for stored in self._store.read_all(
                after=self._position, categories=list(self._projections), until=head
            ):
                batch.append(stored)
                if len(batch) == BATCH:
                    await self._apply(batch, stored.position)
                    batch = []
            if batch:
                await self._apply(batch, head)
            await self._move_to(max(head, self._position))
            return self._position

    async def _apply(self, batch: Sequence[StoredEvent], position: int) -> None:
        try:
            async with self._engine.begin() as connection:
                changes = [
                    Dated(change, stored.tenant, stored.position)
                    for stored in batch
                    for change in await self._projections[stored.category].changes(stored)
                ]
                await write(connection, changes)
                await save_progress(connection, self.name, self._schema(), position)
        except BaseException:
            for projection in self._projections.values():
                projection.forget()
            raise
        await self._move_to(position)

    async def _move_to(self, position: int) -> None:
        async with self._moved:
            self._position = position
            self._moved.notify_all()

    async def wait_for(self, position: int, timeout_s: float = 10) -> None:
        """Wait until the tables cover `position`; raises Unavailable when they do not in time."""
        if self._position >= position:
            return
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self._position >= position)
        except TimeoutError:
            raise Unavailable(
                f"{self.name} is at position {self._position} and did not reach {position} "
                f"in {timeout_s:g} s. {self.error}".strip()
            ) from None

    async def rebuild(self) -> int:
        """Drop every table and fold the whole log again; returns the position reached."""
        async with self._turn, self._engine.begin() as connection:
            await self._make_empty(connection)
        return await self.catch_up()
