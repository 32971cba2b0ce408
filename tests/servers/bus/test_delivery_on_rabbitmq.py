"""The delivery suite on RabbitMQ's streams; RabbitMQ loses everything by losing the streams, or the list of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiormq
import pytest
from bus_support import Projection, append, in_time, relay_of, running, topic_of
from delivery_suite import PATIENCE_S, DeliverySuite, consumer_of
from modelog_common.bus.broker import TopicState
from modelog_common.bus.envelope import Poison
from modelog_common.bus.rabbitmq_streams import RabbitBroker
from modelog_common.bus.rabbitmq_topics import INDEX, stream_of
from modelog_common.bus.source import of_events
from modelog_common.bus.topics import Family
from modelog_common.events.sqlite import SqliteEventStore
from real_servers import UrlServer


class TestDeliveryOnRabbitmq(DeliverySuite):
    @pytest.fixture
    async def bus(self, rabbitmq: UrlServer) -> AsyncIterator[RabbitBroker]:
        broker = RabbitBroker(rabbitmq.url)
        yield broker
        await broker.close()

    @pytest.fixture
    def forget(self, rabbitmq: UrlServer, bus: RabbitBroker, topics: Family) -> Callable[[], Awaitable[None]]:
        async def delete() -> None:
            states = await bus.describe([name for name in await bus.topics() if name.startswith(f"{topics.prefix}.")])
            streams = [stream_of(name, state.incarnation) for name, state in states.items() if state is not None]
            await deleted(rabbitmq, streams)

        return delete

    async def test_a_killed_rabbitmq_goes_on_with_what_it_had(
        self,
        rabbitmq: UrlServer,
        bus: RabbitBroker,
        topics: Family,
        store: SqliteEventStore,
        projection: Projection,
    ) -> None:
        """Not within a second of making its very first stream, which RabbitMQ 3.10 then never opens again."""
        await bus.open(topic_of(topics))
        await asyncio.to_thread(rabbitmq.restart)
        await append(store, range(50))
        consumer = consumer_of(bus, topics, projection)
        async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
            await in_time(consumer, topics, 50, PATIENCE_S)
            before = await bus.open(topic_of(topics))
            await asyncio.to_thread(rabbitmq.kill)
            await append(store, range(50, 60))
            await asyncio.to_thread(rabbitmq.start)
            await in_time(consumer, topics, 60, PATIENCE_S)
            assert await bus.open(topic_of(topics)) == before
        assert projection.positions() == list(range(1, 61))

    async def test_a_lost_list_of_topics_makes_them_anew(
        self,
        rabbitmq: UrlServer,
        bus: RabbitBroker,
        topics: Family,
        store: SqliteEventStore,
        projection: Projection,
    ) -> None:
        await append(store, range(20))
        consumer = consumer_of(bus, topics, projection)
        async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
            await in_time(consumer, topics, 20, PATIENCE_S)
            before = await bus.open(topic_of(topics))
            await deleted(rabbitmq, [INDEX])
            await append(store, range(20, 30))
            await in_time(consumer, topics, 30, PATIENCE_S)
            assert await bus.open(topic_of(topics)) != before
        assert projection.positions() == list(range(1, 31))

    async def test_what_somebody_else_put_into_a_stream_is_poison(
        self, rabbitmq: UrlServer, bus: RabbitBroker, topics: Family
    ) -> None:
        topic = topic_of(topics).name
        state = await bus.open(topic_of(topics))
        async with aiormq.connect(rabbitmq.url) as connection:
            channel = await connection.channel()
            await channel.basic_publish(b"hello", routing_key=stream_of(topic, state.incarnation))
        reader = bus.reader("suite", {(topic, 0): 0})
        async with asyncio.timeout(PATIENCE_S):
            while not (groups := await reader.next(10, 1.0)):
                pass
        await reader.close()
        (poison,) = groups[topic, 0]
        assert isinstance(poison, Poison)
        assert (poison.message.offset, poison.message.value) == (0, b"hello")

    async def test_of_many_who_make_a_topic_at_once_all_get_the_same_one(
        self, rabbitmq: UrlServer, topics: Family
    ) -> None:
        brokers = [RabbitBroker(rabbitmq.url) for _ in range(8)]
        states = await asyncio.gather(*(broker.open(topic_of(topics)) for broker in brokers))
        assert len(set(states)) == 1
        for broker in brokers:
            await broker.close()

    async def test_who_hears_of_a_topic_after_having_missed_it_does_not_replace_it(
        self, rabbitmq: UrlServer, bus: RabbitBroker, topics: Family, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = RabbitBroker(rabbitmq.url)
        line = await late.line()
        find, made = line.find, list[TopicState]()

        async def missed_and_then_made(topic: str) -> tuple[str, int] | None:
            found = await find(topic)
            if not made:
                made.append(await bus.open(topic_of(topics)))
                # What it adds to the list itself it reads after all that stood there before.
                await line.make(f"{topic}.next", "")
            return found

        monkeypatch.setattr(line, "find", missed_and_then_made)
        assert [await late.open(topic_of(topics))] == made == [await bus.open(topic_of(topics))]
        await late.close()


async def deleted(rabbitmq: UrlServer, streams: list[str]) -> None:
    async with aiormq.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        for stream in streams:
            await channel.queue_delete(stream)
