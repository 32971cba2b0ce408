"""What every broker must let relays and consumers keep: in order, at least once, handled once, nothing lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from modelog_common.bus.broker import Broker, Outgoing
from modelog_common.bus.deadletters import State
from modelog_common.bus.envelope import counted_headers, to_entry
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import Family
from modelog_common.events.sqlite import SqliteEventStore

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "common_bus"))

from bus_support import TENANT, Projection, append, in_time, relay_of, running, topic_of, until

PATIENCE_S = 150


def consumer_of(bus: Broker, topics: Family, projection: Projection) -> Consumer:
    return Consumer(bus, [topics], "suite", projection.progress, projection.dead)


async def nothing() -> None:
    """Nobody waits for anything else."""


class DeliverySuite:
    """Inherit it, and give the fixtures `bus` and `forget`, which lets the broker lose every topic and message."""

    @pytest.fixture
    def bus(self) -> Broker:
        raise NotImplementedError

    @pytest.fixture
    def forget(self) -> Callable[[], Awaitable[None]]:
        raise NotImplementedError

    @pytest.fixture
    def topics(self) -> Family:
        """Topics that no other test uses."""
        return Family("events.registry", f"test{uuid4().hex}")

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
        opened = await SqliteEventStore.open(tmp_path / "events.db")
        yield opened
        await opened.close()

    @pytest.fixture
    async def projection(self, tmp_path: Path) -> AsyncIterator[Projection]:
        own = Projection(tmp_path / "projection.db")
        yield own
        await own.dead.close()

    async def test_what_is_sent_is_read_in_order_as_it_was(self, bus: Broker, topics: Family) -> None:
        topic = topic_of(topics)
        state = await bus.open(topic)
        assert await bus.open(topic) == state
        assert await bus.describe([topic.name, topic.dead.name]) == {topic.name: state, topic.dead.name: None}
        assert topic.name in await bus.topics()
        sent = [Outgoing(topic.name, b"k%d" % n, bytes([n % 256]) * n, {"n": str(n), "ü": "ö"}) for n in range(300)]
        sender = bus.sender()
        await sender.send(sent[:100], nothing)
        await sender.send(sent[100:], nothing)
        await sender.close()
        for start in (0, 250):
            reader = bus.reader("suite", {(topic.name, 0): start})
            read = []
            async with asyncio.timeout(PATIENCE_S):
                while len(read) < 300 - start:
                    for batch in (await reader.next(70, 1.0)).values():
                        read += batch
            assert await reader.behind() == {(topic.name, 0): 0}
            await reader.close()
            assert [m.offset for m in read] == list(range(start, 300))
            assert [(m.key, m.value, m.text("n"), m.text("ü")) for m in read] == [
                (m.key, m.value, m.headers["n"], "ö") for m in sent[start:]
            ]

    async def test_events_are_handled_once_in_order_whoever_starts_first(
        self, bus: Broker, topics: Family, store: SqliteEventStore, projection: Projection
    ) -> None:
        consumer = consumer_of(bus, topics, projection)
        async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
            for n in range(0, 600, 60):
                await append(store, range(n, n + 60))
            await in_time(consumer, topics, 600, PATIENCE_S)
        assert projection.positions() == list(range(1, 601))

    async def test_tenants_have_topics_of_their_own(
        self, bus: Broker, topics: Family, store: SqliteEventStore, projection: Projection
    ) -> None:
        await append(store, range(3))
        await append(store, range(3), "registry.model-2", tenant="other")
        consumer = consumer_of(bus, topics, projection)
        async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
            await in_time(consumer, topics, 3, PATIENCE_S)
            await consumer.wait_for(topics.of("other").name, 6, PATIENCE_S)
        assert sorted(projection.positions()) == [1, 2, 3, 4, 5, 6]

    async def test_what_was_handled_and_not_stored_comes_again(
        self, bus: Broker, topics: Family, store: SqliteEventStore, projection: Projection
    ) -> None:
        """The consumer goes away in the middle of a batch; its successor gets that batch again, whole."""
        await append(store, range(5))
        begun = asyncio.Event()

        async def hangs(*_: object) -> None:
            begun.set()
            await asyncio.Event().wait()

        async with running(relay_of(store, topics, bus).run()):
            async with running(consumer_of(bus, topics, projection).run(hangs)):
                await begun.wait()
            consumer = consumer_of(bus, topics, projection)
            async with running(consumer.run(of_events(projection.handle))):
                await in_time(consumer, topics, 5, PATIENCE_S)
        assert projection.positions() == [1, 2, 3, 4, 5]

    async def test_a_broker_that_lost_everything_gets_it_again_and_nothing_is_handled_twice(
        self,
        bus: Broker,
        forget: Callable[[], Awaitable[None]],
        topics: Family,
        store: SqliteEventStore,
        projection: Projection,
    ) -> None:
        await append(store, range(50))
        consumer = consumer_of(bus, topics, projection)
        async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
            await in_time(consumer, topics, 50, PATIENCE_S)
            before = await bus.open(topic_of(topics))
            await forget()
            await append(store, range(50, 70))
            await in_time(consumer, topics, 70, PATIENCE_S)
            assert (await bus.open(topic_of(topics))).incarnation != before.incarnation
        assert projection.positions() == list(range(1, 71))
        fresh = Projection(store.path.with_name("fresh.db"))
        consumer = consumer_of(bus, topics, fresh)
        async with running(consumer.run(of_events(fresh.handle)), relay_of(store, topics, bus).run()):
            await in_time(consumer, topics, 70, PATIENCE_S)
        assert fresh.positions() == list(range(1, 71))
        await fresh.dead.close()

    async def test_poison_becomes_a_dead_letter_that_can_be_replayed(
        self, bus: Broker, topics: Family, store: SqliteEventStore, projection: Projection
    ) -> None:
        projection.poison = {b'{"n":2}'}
        await append(store, range(5))
        consumer = consumer_of(bus, topics, projection)
        async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
            await in_time(consumer, topics, 5, PATIENCE_S)
            (letter,) = await projection.dead.list(TENANT, 10)
            assert topic_of(topics).dead.name in await bus.topics()
            projection.poison = set()
            assert (await projection.dead.replay(letter.id, TENANT, PATIENCE_S)).state is State.REPLAYED
        assert projection.positions() == [1, 2, 4, 5, 3]

    async def test_a_publisher_that_lost_its_lease_adds_nothing_new_and_nothing_out_of_order(
        self, bus: Broker, topics: Family, store: SqliteEventStore, projection: Projection
    ) -> None:
        """The late words of an old holder: a copy of what is there, and one that skips its predecessors."""
        await append(store, range(30))
        entries = [to_entry(e) async for e in store.read_all()]
        topic = topic_of(topics)
        relay, other = relay_of(store, topics, bus), relay_of(store, topics, bus)
        consumer = consumer_of(bus, topics, projection)
        async with running(relay.run(), consumer.run(of_events(projection.handle))):
            await in_time(consumer, topics, 30, PATIENCE_S)
            async with running(other.run()):
                await until(lambda: other.state == "standing by", "the second relay stands by")
                await append(store, range(30, 40))
                later = [to_entry(e) async for e in store.read_all(after=38)]
                zombie = bus.sender()
                late = [*((e, e.position - 1) for e in entries[10:20]), *((e, 38) for e in later[:1])]
                await zombie.send(
                    [
                        Outgoing(
                            topic.name,
                            e.key,
                            e.value,
                            {**e.headers, **counted_headers("/modelog/registry", e.position, previous, 0)},
                        )
                        for e, previous in late
                    ],
                    nothing,
                )
                await zombie.close()
                await in_time(consumer, topics, 40, PATIENCE_S)
        assert projection.positions() == list(range(1, 41))
