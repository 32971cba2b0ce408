"""The KurrentDB adapter passes the event store's suites against a stand-in that speaks KurrentDB's protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from dropping_proxy import DroppingProxy
from event_store_network import EventStoreNetwork
from event_store_race import EventStoreRace
from event_store_suite import EventStoreSuite, Reopen, collect, history, new
from kurrent_stand_in import StandIn
from kurrentdbclient import AsyncKurrentDBClient, StreamState
from kurrentdbclient import NewEvent as NewKurrentEvent
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Conflict, Invalid, Unavailable
from modelog_common.events.kurrent import KurrentEventStore
from modelog_common.events.kurrent_log import metadata_of
from modelog_common.events.store import Appended, EventStore


def address_of(port: int) -> str:
    return f"kurrentdb://127.0.0.1:{port}?tls=false"


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    await stand_in.start()
    yield stand_in
    await stand_in.stop()


class TestKurrentEventStore(EventStoreSuite):
    @pytest.fixture
    async def store(self, stand_in: StandIn, clock: ManualClock) -> AsyncIterator[EventStore]:
        store = await KurrentEventStore.open(address_of(stand_in.port), clock)
        yield store
        await store.close()

    @pytest.fixture
    async def reopen(self, store: EventStore, stand_in: StandIn, clock: ManualClock) -> AsyncIterator[Reopen]:
        opened: list[KurrentEventStore] = []

        async def again() -> EventStore:
            opened.append(await KurrentEventStore.open(address_of(stand_in.port), clock))
            return opened[-1]

        yield again
        for other in opened:
            await other.close()


class TestKurrentOverABadNetwork(EventStoreNetwork):
    @pytest.fixture
    async def server(self, stand_in: StandIn) -> tuple[str, int]:
        return "127.0.0.1", stand_in.port

    @pytest.fixture
    async def direct(self, stand_in: StandIn) -> AsyncIterator[EventStore]:
        store = await KurrentEventStore.open(address_of(stand_in.port))
        yield store
        await store.close()

    @pytest.fixture
    async def store(self, direct: EventStore, proxy: DroppingProxy) -> AsyncIterator[EventStore]:
        store = await KurrentEventStore.open(address_of(proxy.port))
        yield store
        await store.close()


class TestRacingForOneKurrent(EventStoreRace):
    """Fewer events than the databases are given: the stand-in shares a core with the test, and is not the point."""

    PER_WRITER = 400

    @pytest.fixture
    async def address(self, stand_in: StandIn) -> str:
        return address_of(stand_in.port)


async def test_what_is_too_large_for_the_server_is_said_and_the_neighbours_go_in() -> None:
    small = StandIn(max_append_bytes=2000)
    await small.start()
    store = await KurrentEventStore.open(address_of(small.port))
    sent = [new(payload=b"x" * size) for size in (1000, 3000, 1000)]
    answers = await asyncio.gather(
        *(store.append(f"a.b-{n}", [event]) for n, event in enumerate(sent)), return_exceptions=True
    )
    assert isinstance(answers[1], Invalid)
    assert "Max size is 2000" in str(answers[1])
    assert [e.id for e in await collect(store.read_all())] == [sent[0].id, sent[2].id]
    await store.close()
    await small.stop()


@pytest.mark.parametrize(
    ("changed", "wrong"), [({"format": 2}, "newer release .format 2."), ({"stream": 1}, "is no event of this log")]
)
async def test_a_log_of_a_newer_release_or_of_somebody_else_is_refused(
    stand_in: StandIn, changed: dict[str, int], wrong: str
) -> None:
    metadata = json.loads(metadata_of(history(1)[0])) | changed
    client = AsyncKurrentDBClient(address_of(stand_in.port))
    newer = NewKurrentEvent("x", b"{}", json.dumps(metadata).encode())
    await client.append_to_stream("modelog.events", events=newer, current_version=StreamState.NO_STREAM)
    await client.close()
    with pytest.raises(Unavailable, match=wrong):
        await KurrentEventStore.open(address_of(stand_in.port))


async def test_the_same_id_at_the_same_place_of_another_stream_is_no_repeated_append(stand_in: StandIn) -> None:
    """KurrentDB itself takes two appends of the same ids at the same revision for one."""
    first = await KurrentEventStore.open(address_of(stand_in.port))
    second = await KurrentEventStore.open(address_of(stand_in.port))
    same = new(1)
    await first.append("a.b-1", [same])
    with pytest.raises(Conflict, match="1 of 1 event ids"):
        await second.append("a.b-2", [same])
    assert await second.append("a.b-1", [same]) == Appended(1, 1, repeated=True)
    await first.close()
    await second.close()


@pytest.mark.parametrize("address", ["kurrentdb://127.0.0.1:1?tls=false", "kurrentdb://", "mongodb://x"])
async def test_a_server_that_is_not_there_is_said(address: str) -> None:
    with pytest.raises(Unavailable, match="KurrentDB"):
        await KurrentEventStore.open(address)
