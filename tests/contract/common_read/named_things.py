"""A small entity with its read table, and everything that commands, projects and asks about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from modelog_common.domain.clock import ManualClock
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import NotAllowed
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import StoredEvent
from modelog_common.events.types import EventTypes, event
from modelog_common.read.project import EntityProjection, Projector
from modelog_common.read.queries import Queries
from modelog_common.read.tables import Change, Put, Remove, temporal_table
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1.model_pb2 import Model
from sqlalchemy import Column, Integer, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

# Opens the database of the adapter under test; each name is an empty database of its own.
OpenTables = Callable[[str], AsyncEngine]


@event("test.Renamed")
class Renamed:
    name: str


@event("test.Deleted")
class Deleted:
    pass


@dataclass(frozen=True)
class Thing:
    name: str = ""
    times: int = 0


def decide(thing: Thing, name: str, ctx: Context) -> Sequence[Renamed | Deleted]:
    if name == "forbidden":
        raise NotAllowed("that name is not allowed")
    if name == thing.name:
        return ()
    return [Deleted()] if name == "" else [Renamed(name)]


def evolve(thing: Thing, happened: Renamed | Deleted) -> Thing:
    name = happened.name if isinstance(happened, Renamed) else ""
    return replace(thing, name=name, times=thing.times + 1)


TYPES = EventTypes([Renamed, Deleted])
THINGS: Decider[Thing, str, Renamed | Deleted] = Decider("test.thing", Thing, decide, evolve)
METADATA = MetaData()
TABLE = temporal_table(
    METADATA, "things", key=["stream"], columns=[Column("times", Integer, nullable=False)], orders=[["times"]]
)


def rows(thing: Thing, stored: StoredEvent) -> Sequence[Change]:
    key = {"stream": stored.stream}
    if not thing.name:
        return [Remove(TABLE, key)]
    return [Put(TABLE, key, Model(name=thing.name).SerializeToString(), {"times": thing.times})]


@dataclass
class Parts:
    clock: ManualClock
    store: SqliteEventStore
    things: Entities[Thing, str, Renamed | Deleted]
    projector: Projector
    queries: Queries
    engine: AsyncEngine
    folder: Path

    async def close(self) -> None:
        await self.engine.dispose()
        await self.store.close()

    async def name(self, which: str, read: ReadOptions | None = None) -> str | None:
        found = await self.queries.one(TABLE, Model, read or ReadOptions(), "acme", stream=f"test.thing-{which}")
        return found.name if found else None

    async def rename(self, which: str, name: str, request: str = "") -> int:
        return (await self.things.handle(which, name, context(self.clock, request))).position

    async def names(self, read: ReadOptions, page: Page | None = None) -> list[str]:
        found = await self.queries.page(TABLE, Model, read, "acme", page or Page())
        return [m.name for m in found.items]


def context(clock: ManualClock, request: str = "") -> Context:
    return Context(clock.now(), "alice", "acme", request or str(uuid7()))


def projector_of(store: SqliteEventStore, engine: AsyncEngine) -> Projector:
    return Projector("test", store, engine, METADATA, [EntityProjection(store, THINGS, TYPES, rows)])


async def assemble(folder: Path, engine: AsyncEngine) -> Parts:
    """Everything, with a log in `folder`; close it when done."""
    clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    store = await SqliteEventStore.open(folder / "events.db", clock)
    projector = projector_of(store, engine)
    await projector.start()
    things: Entities[Thing, str, Renamed | Deleted] = Entities(store, THINGS, TYPES)
    return Parts(clock, store, things, projector, Queries(store, engine, projector), engine, folder)
