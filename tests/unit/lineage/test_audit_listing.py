"""Listing forwards and backwards finds the same events; coverage over several topics tells the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from modelog_common.bus.topics import EVENTS
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent, StoredEvent
from modelog_lineage.audit.listing import Wanted, find, follow
from modelog_lineage.covered import Coverage


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    opened = await SqliteEventStore.open(tmp_path / "events.db")
    yield opened
    await opened.close()


async def fill(store: SqliteEventStore, streams: list[str]) -> None:
    for n, stream in enumerate(streams):
        tenant = "umbrella" if n % 3 == 2 else "acme"
        await store.append(stream, [NewEvent(f"e{n}", f"t.{n % 2}", 1, b"{}", tenant, "alice" if n % 5 else "bob")])


@pytest.mark.parametrize("filters", [{}, {"type": "t.1"}, {"actor": "bob"}, {"stream": "a.x"}, {"stream": "a.x-1"}])
async def test_both_directions_find_the_same(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch, filters: dict[str, str]
) -> None:
    from modelog_lineage.audit import listing

    monkeypatch.setattr(listing, "FIRST_STEP", 3)
    await fill(store, ["a.x-1", "b.y-1", "a.x-2", "a.x-1"] * 10)
    wanted = Wanted("acme", **filters)
    forwards = [e async for e in store.read_all() if wanted.matches(e)]
    if "stream" in filters:
        forwards = [e for e in forwards if e.stream.startswith(filters["stream"])]
    assert forwards
    for newest_first in (False, True):
        found = []
        after = 0
        while page := await find(store, wanted, after=after, limit=2, newest_first=newest_first, head=40):
            found += page
            after = page[-1].position
            if newest_first and after == 1:
                break
        assert found == (forwards[::-1] if newest_first else forwards)


async def test_events_that_are_there_are_followed_together_and_none_is_left_out(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelog_lineage.audit import listing

    monkeypatch.setattr(listing, "TOGETHER", 8)
    await fill(store, ["a.x-1"] * 30)
    over = asyncio.Event()

    async def ended() -> None:
        await over.wait()

    pages = [page async for page in _until(17, follow(store, Wanted("acme"), 3, ended))]
    mine = [e.position async for e in store.read_all(after=3) if e.tenant == "acme"]
    assert [event.position for page in pages for event in page][:17] == mine[:17]
    assert len(pages) < 10, "most events were there at once"


async def _until(count: int, pages: AsyncIterator[Sequence[StoredEvent]]) -> AsyncIterator[Sequence[StoredEvent]]:
    """The pages up to that with the `count`-th event."""
    async for page in pages:
        yield page
        count -= len(page)
        if count <= 0:
            return


async def test_a_position_is_covered_when_every_topic_was_read_up_to_it(store: SqliteEventStore) -> None:
    await fill(store, ["registry.model-1", "training.job-1", "other.thing-1", "registry.model-1", "training.job-1"])
    covered = Coverage(store, EVENTS)
    registry, training = (EVENTS[service].of("acme").name for service in ("registry", "training"))
    covered.restart({registry: 1})
    await covered.advance()
    assert covered.position == 1
    await covered.reached(registry, 4)
    assert covered.position == 1, "position 2 travels on the other topic"
    await covered.reached(training, 2)
    assert covered.position == 4, "nobody publishes position 3"
    assert not await covered.wait_for(5, 0.05)
    await covered.reached(training, 5)
    assert await covered.wait_for(5, 150)
    covered.restart({})
    assert covered.position == 0


async def test_who_waits_is_told_of_trouble_that_comes_meanwhile(store: SqliteEventStore) -> None:
    covered, looked, told = Coverage(store, EVENTS), asyncio.Event(), ""

    def trouble() -> str:
        looked.set()
        return told

    waits = asyncio.create_task(covered.wait_for(5, 150, trouble))
    await looked.wait()
    told = "the store is away"
    await covered.wake()
    async with asyncio.timeout(100):
        assert not await waits


async def test_a_position_of_another_tenant_is_covered_by_that_tenants_topic(store: SqliteEventStore) -> None:
    await fill(store, ["registry.model-1"] * 4)
    covered = Coverage(store, EVENTS)
    await covered.reached(EVENTS["registry"].of("acme").name, 4)
    assert covered.position == 2
    await covered.reached(EVENTS["registry"].of("umbrella").name, 3)
    assert covered.position == 4
