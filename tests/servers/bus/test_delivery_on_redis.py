"""The delivery suite on Redis Streams; Redis loses everything by being emptied, or by being killed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from bus_support import Projection, append, in_time, relay_of, running
from delivery_suite import PATIENCE_S, DeliverySuite, consumer_of
from modelog_common.bus.redis_streams import RedisBroker
from modelog_common.bus.source import of_events
from modelog_common.bus.topics import Family
from modelog_common.events.sqlite import SqliteEventStore
from real_servers import UrlServer


class TestDeliveryOnRedis(DeliverySuite):
    @pytest.fixture
    def bus(self, redis_server: UrlServer) -> RedisBroker:
        return RedisBroker(redis_server.url)

    @pytest.fixture
    def forget(self, bus: RedisBroker) -> Callable[[], Awaitable[None]]:
        async def flush() -> None:
            await bus.client.flushdb()

        return flush

    async def test_a_killed_redis_is_filled_again_whatever_it_kept(
        self,
        redis_server: UrlServer,
        bus: RedisBroker,
        topics: Family,
        store: SqliteEventStore,
        projection: Projection,
    ) -> None:
        await append(store, range(50))
        consumer = consumer_of(bus, topics, projection)
        async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
            await in_time(consumer, topics, 50, PATIENCE_S)
            await asyncio.to_thread(redis_server.kill)
            await append(store, range(50, 60))
            await asyncio.to_thread(redis_server.start)
            await in_time(consumer, topics, 60, PATIENCE_S)
        assert projection.positions() == list(range(1, 61))
