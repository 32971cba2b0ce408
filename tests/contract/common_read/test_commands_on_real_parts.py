"""Commands become events once, and nobody's update is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from modelog_common.domain.errors import Conflict, NotAllowed
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.read.database import open_database
from named_things import THINGS, TYPES, Deleted, Parts, Renamed, Thing, assemble, context


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = await assemble(tmp_path, open_database(f"sqlite+aiosqlite:///{tmp_path / 'tables.db'}"))
    yield made
    await made.close()


async def test_a_request_sent_twice_counts_once(parts: Parts) -> None:
    first = await parts.rename("1", "first", request="r1")
    await parts.rename("1", "second", request="r2")
    again = await parts.things.handle("1", "first", context(parts.clock, "r1"))
    assert first == 1
    assert again.state.name == "second"
    assert await parts.store.head() == 2


async def test_what_is_begun_and_is_there_already_is_handled(parts: Parts) -> None:
    """`begin` reads nothing before it appends: it must not answer with what it only thinks that is there."""
    begun = await parts.things.begin("1", "first", context(parts.clock, "r1"))
    assert (begun.state, begun.version, begun.position) == (Thing("first", 1), 1, 1)
    elsewhere: Entities[Thing, str, Renamed | Deleted] = Entities(parts.store, THINGS, TYPES)
    again = await elsewhere.begin("1", "other", context(parts.clock, "r1"))
    assert (again.state, again.position) == (Thing("first", 1), 1), "the same request is the same event"
    late: Entities[Thing, str, Renamed | Deleted] = Entities(parts.store, THINGS, TYPES)
    assert (await late.begin("1", "second", context(parts.clock, "r2"))).state == Thing("second", 2)
    assert (await late.begin("1", "third", context(parts.clock, "r3"))).state == Thing("third", 3)
    with pytest.raises(NotAllowed):
        await late.begin("2", "forbidden", context(parts.clock))
    assert (await late.begin("2", "", context(parts.clock))).version == 0
    assert await parts.store.head() == 3


async def test_the_recent_state_is_what_this_process_last_saw(parts: Parts) -> None:
    await parts.rename("1", "mine")
    rival: Entities[Thing, str, Renamed | Deleted] = Entities(parts.store, THINGS, TYPES)
    await rival.handle("1", "yours", context(parts.clock))
    assert (await parts.things.recent("1")).state == Thing("mine", 1)
    assert (await parts.things.current("1")).state == (await parts.things.recent("1")).state == Thing("yours", 2)


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
