"""Commands become events, events become rows, rows answer as of any position: the core loop on real parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import StoredEvent
from modelog_common.events.types import EventTypes, event
from modelog_common.read.database import open_database
from modelog_common.read.project import EntityProjection, Projector
from modelog_common.read.queries import Queries
from modelog_common.read.tables import Change, Put, Remove, temporal_table
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1.model_pb2 import Model
from sqlalchemy import Column, Integer, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine


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
TABLE = temporal_table(METADATA, "things", key=["stream"], columns=[Column("times", Integer, nullable=False)])


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


async def assemble(folder: Path) -> Parts:
    clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    store = await SqliteEventStore.open(folder / "events.db", clock)
    engine = open_database(f"sqlite+aiosqlite:///{folder / 'read.db'}")
    projector = projector_of(store, engine)
    await projector.start()
    things: Entities[Thing, str, Renamed | Deleted] = Entities(store, THINGS, TYPES)
    return Parts(clock, store, things, projector, Queries(store, engine, projector), engine, folder)


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = await assemble(tmp_path)
    running = asyncio.create_task(made.projector.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await made.engine.dispose()
    await made.store.close()


async def test_one_reads_ones_own_writes(parts: Parts) -> None:
    position = await parts.rename("1", "first")
    assert await parts.name("1", ReadOptions(at_least=position)) == "first"


async def test_answers_as_of_a_position_and_a_time(parts: Parts) -> None:
    await parts.rename("1", "first")
    parts.clock.advance(timedelta(hours=1))
    last = await parts.rename("1", "second")
    await parts.rename("1", "")
    read = ReadOptions(at_least=last + 1)
    assert await parts.name("1", read) is None
    assert await parts.name("1", ReadOptions(as_of="1")) == "first"
    assert await parts.name("1", ReadOptions(as_of="2026-05-01T00:30:00Z")) == "first"
    assert await parts.name("1", ReadOptions(as_of="2026-05-01T03:00:00+02:00")) is None
    assert await parts.name("1", ReadOptions(as_of="2")) == "second"
    assert await parts.names(read) == []


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (ReadOptions(as_of="9"), r"read\.as_of: position 9 is in the future; the log's last position is 0"),
        (ReadOptions(at_least=9), r"read\.at_least: position 9 is in the future"),
        (ReadOptions(as_of="yesterday"), "neither a position nor an RFC 3339 time"),
        (ReadOptions(as_of="2026-05-01T00:00:00"), "lacks a time zone"),
    ],
)
async def test_moments_that_cannot_be(parts: Parts, read: ReadOptions, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        await parts.name("1", read)


async def test_a_request_sent_twice_counts_once(parts: Parts) -> None:
    first = await parts.rename("1", "first", request="r1")
    await parts.rename("1", "second", request="r2")
    again = await parts.things.handle("1", "first", context(parts.clock, "r1"))
    assert first == 1
    assert again.state.name == "second"
    assert await parts.store.head() == 2


async def test_a_refused_command_appends_nothing(parts: Parts) -> None:
    with pytest.raises(NotAllowed):
        await parts.rename("1", "forbidden")
    assert await parts.rename("1", "") == 0
    assert await parts.store.head() == 0


async def test_two_handlers_of_one_entity_do_not_lose_updates(parts: Parts) -> None:
    other: Entities[Thing, str, Renamed | Deleted] = Entities(parts.store, THINGS, TYPES)
    for n in range(10):
        await parts.rename("1", f"a{n}")
        await other.handle("1", f"b{n}", context(parts.clock))
    assert (await parts.things.load("1")).state == Thing("b9", 20)
    assert (await parts.things.load("1", until=3)).state == Thing("a1", 3)


async def test_somebody_who_always_wins_is_a_conflict(parts: Parts) -> None:
    rival: Entities[Thing, str, Renamed | Deleted] = Entities(parts.store, THINGS, TYPES)
    append = parts.store.append

    async def overtaken(stream: str, events: object, *, expected: object) -> object:
        parts.store.append = append  # type: ignore[method-assign]
        await rival.handle("1", str(uuid7()), context(parts.clock))
        parts.store.append = overtaken  # type: ignore[assignment,method-assign]
        return await append(stream, events, expected=expected)  # type: ignore[arg-type]

    parts.store.append = overtaken  # type: ignore[assignment,method-assign]
    with pytest.raises(Conflict, match="5 times in a row"):
        await parts.rename("1", "mine")


async def test_pages_see_one_world(parts: Parts) -> None:
    for n in range(5):
        last = await parts.rename(str(n), f"n{n}")
    read = ReadOptions(at_least=last)
    first = await parts.queries.page(TABLE, Model, read, "acme", Page(size=2))
    last = await parts.rename("0", "changed")
    await parts.projector.wait_for(last)
    second = await parts.queries.page(TABLE, Model, read, "acme", Page(size=9, token=first.next_page_token))
    assert [m.name for m in (*first.items, *second.items)] == ["n0", "n1", "n2", "n3", "n4"]
    assert second.next_page_token == ""
    filtered = await parts.queries.page(
        TABLE, Model, read, "acme", Page(), where=[TABLE.table.c.times == 2], order_by=[TABLE.table.c.times]
    )
    assert [m.name for m in filtered.items] == ["changed"]


@pytest.mark.parametrize("token", ["x", "bm9uZQ==", "Og=="])
async def test_a_token_that_nobody_gave(parts: Parts, token: str) -> None:
    with pytest.raises(Invalid, match=r"page\.token"):
        await parts.names(ReadOptions(), Page(token=token))


async def test_another_tenant_sees_nothing(parts: Parts) -> None:
    last = await parts.rename("1", "first")
    found = await parts.queries.page(TABLE, Model, ReadOptions(at_least=last), "other", Page())
    assert found.items == []


async def test_a_restarted_projector_goes_on_where_it_was(parts: Parts) -> None:
    for n in range(3):
        last = await parts.rename("1", f"n{n}")
    await parts.projector.wait_for(last)
    again = projector_of(parts.store, parts.engine)
    await again.start()
    assert again.position == last
    await parts.rename("1", "later")
    await again.catch_up()
    assert await Queries(parts.store, parts.engine, again).one(
        TABLE, Model, ReadOptions(as_of="3"), "acme", stream="test.thing-1"
    ) == Model(name="n2")


async def test_tables_of_another_shape_are_built_again(parts: Parts) -> None:
    last = await parts.rename("1", "first")
    await parts.projector.wait_for(last)
    other = MetaData()
    wider = temporal_table(other, "things", key=["stream"], columns=[Column("length", Integer, nullable=False)])

    def with_length(thing: Thing, stored: StoredEvent) -> Sequence[Change]:
        return [Put(wider, {"stream": stored.stream}, b"", {"length": len(thing.name)})]

    newer = Projector(
        "test", parts.store, parts.engine, other, [EntityProjection(parts.store, THINGS, TYPES, with_length)]
    )
    await newer.start()
    assert newer.position == 0
    assert await newer.catch_up() == last


async def test_waiting_for_what_does_not_come_says_where_it_stands(parts: Parts) -> None:
    with pytest.raises(Unavailable, match=r"did not reach 5 in 0\.01 s"):
        await parts.projector.wait_for(5, timeout_s=0.01)


commands = st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from(["", "a", "b", "c"])), max_size=25)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands)
async def test_every_past_answer_can_be_had_again(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    """What was answered after each step is answered as of that position later, before and after a rebuild."""
    parts = await assemble(tmp_path_factory.mktemp("past"))
    answers: dict[int, list[str]] = {}
    for which, name in steps:
        await parts.rename(which, name)
        head = await parts.projector.catch_up()
        answers[head] = await parts.names(ReadOptions())
    for _ in range(2):
        for position, answer in answers.items():
            assert position == 0 or await parts.names(ReadOptions(as_of=str(position))) == answer
        await parts.projector.rebuild()
    await parts.engine.dispose()
    await parts.store.close()
