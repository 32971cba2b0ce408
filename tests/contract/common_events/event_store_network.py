"""What every event store that is reached over a network guarantees when the network fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from dropping_proxy import DroppingProxy
from event_store_suite import collect, new
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import Appended, EventStore, NewEvent


async def until_answered(store: EventStore, events: list[NewEvent]) -> Appended:
    """A client may rest for a moment before it connects anew: what a caller does then is to ask again."""
    async with asyncio.timeout(150):
        while True:
            try:
                return await store.append("a.b-1", events)
            except Unavailable:
                await asyncio.sleep(0.05)


class EventStoreNetwork:
    """An adapter's test module gives `direct`, a store without a proxy, and `store`, the same one through `proxy`."""

    @pytest.fixture
    async def server(self) -> tuple[str, int]:
        """Where the server listens."""
        raise NotImplementedError

    @pytest.fixture
    async def proxy(self, server: tuple[str, int]) -> AsyncIterator[DroppingProxy]:
        proxy = DroppingProxy(*server)
        await proxy.start()
        yield proxy
        await proxy.close()

    @pytest.fixture
    async def direct(self) -> AsyncIterator[EventStore]:
        raise NotImplementedError

    @pytest.fixture
    async def store(self, direct: EventStore, proxy: DroppingProxy) -> AsyncIterator[EventStore]:
        raise NotImplementedError

    @pytest.mark.parametrize("stays_away", [True, False])
    async def test_an_append_whose_answer_was_lost_can_be_repeated(
        self, store: EventStore, direct: EventStore, proxy: DroppingProxy, stays_away: bool
    ) -> None:
        await store.append("a.b-1", [new(1)], expected=0)
        events = [new(2), new(3)]
        proxy.hold_answers()
        appending = asyncio.create_task(store.append("a.b-1", events, expected=1))
        assert await direct.wait_beyond(1, timeout_s=150) == 3
        proxy.cut(refuse=stays_away)
        if stays_away:
            with pytest.raises(Unavailable, match="append them again"):
                await appending
            proxy.mend()
        else:
            # The adapter repeats it by itself.
            assert (await appending).position == 3
        again = await store.append("a.b-1", events, expected=1)
        assert (again.position, again.version, again.repeated) == (3, 3, True)
        assert await direct.head() == 3

    async def test_a_server_that_is_away_is_said_and_comes_back_by_itself(
        self, store: EventStore, direct: EventStore, proxy: DroppingProxy
    ) -> None:
        await store.append("a.b-1", [new(1)])
        proxy.cut(refuse=True)
        for question in (store.head(), store.find("x"), collect(store.read_all()), collect(store.read_stream("a.b-1"))):
            with pytest.raises(Unavailable, match="cannot be used"):
                await question
        second = [new(2)]
        with pytest.raises(Unavailable):
            await store.append("a.b-1", second)
        proxy.mend()
        assert (await until_answered(store, second)).position == 2
        assert len(await collect(store.read_all())) == 2

    async def test_a_subscription_goes_on_over_a_new_connection(
        self, store: EventStore, direct: EventStore, proxy: DroppingProxy
    ) -> None:
        events = store.subscribe()
        await direct.append("a.b-1", [new(1)])
        assert (await anext(events)).position == 1
        live = asyncio.ensure_future(anext(events))
        await direct.append("a.b-1", [new(2)])
        assert (await live).position == 2
        proxy.cut(refuse=False)
        await direct.append("a.b-1", [new(3)])
        async with asyncio.timeout(150):
            assert (await anext(events)).position == 3
        await events.aclose()  # type: ignore[attr-defined]
