"""A broker that forgets everything: nothing acknowledged is lost, nothing is handled twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bus_support import Projection, append, read_raw, relay_of, running, until
from modelog_common.bus.clients import new_producer
from modelog_common.bus.deadletters import announce
from modelog_common.bus.envelope import Poison, Received, counted_headers, to_entry
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import Family, Topic
from modelog_common.domain.errors import Unavailable
from modelog_common.events.sqlite import SqliteEventStore

Broker = Any


@asynccontextmanager
async def delivery(
    broker: Broker, store: SqliteEventStore, topics: Family, projection: Projection
) -> AsyncIterator[Consumer]:
    """A relay and a consumer, running."""
    consumer = Consumer(KafkaBroker(broker.bootstrap), [topics], "chaos", projection.progress, projection.dead)
    relay = relay_of(store, topics, KafkaBroker(broker.bootstrap))
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        yield consumer


async def test_everything_is_published_again_after_kill_9_and_handled_once(
    fresh_broker: Broker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    await append(store, range(50))
    async with delivery(fresh_broker, store, topics, projection) as consumer:
        await consumer.wait_for(topic.name, 50, 150)
        fresh_broker.restart()
        await append(store, range(50, 60))
        await consumer.wait_for(topic.name, 60, timeout_s=150)
    raw = await asyncio.to_thread(read_raw, fresh_broker.bootstrap, topic.name, 60)
    assert [m.key() for m in raw] == [b"registry.model-1"] * len(raw)
    assert projection.positions() == list(range(1, 61))


async def test_events_appended_while_the_broker_is_away_arrive_when_it_is_back(
    fresh_broker: Broker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    fresh_broker.kill()
    consumer = Consumer(KafkaBroker(fresh_broker.bootstrap), [topics], "away", projection.progress, projection.dead)
    relay = relay_of(store, topics, KafkaBroker(fresh_broker.bootstrap))
    await append(store, range(5))
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await until(lambda: relay.state.startswith("waiting") and consumer.state.startswith("waiting"), "both wait")
        assert "does not answer" in relay.state
        assert relay.position == 0
        fresh_broker.start()
        await consumer.wait_for(topic.name, 5, timeout_s=150)
    assert projection.positions() == [1, 2, 3, 4, 5]


async def test_a_new_log_that_is_longer_than_the_old_offset_is_read_from_its_start(
    fresh_broker: Broker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    await append(store, range(5))
    async with delivery(fresh_broker, store, topics, projection) as consumer:
        await consumer.wait_for(topic.name, 5, 150)
    fresh_broker.restart()
    await append(store, range(5, 40))
    strays = new_producer(fresh_broker.bootstrap)  # shift the offsets, so that the old offset points elsewhere
    await KafkaBroker(fresh_broker.bootstrap).open(topic)
    for _ in range(7):
        strays.produce(topic.name, b"{}", headers=counted_headers("/stray", 1, 0))
    assert await asyncio.to_thread(strays.flush, 150) == 0
    relay = relay_of(store, topics, KafkaBroker(fresh_broker.bootstrap))
    async with running(relay.run()):
        await until(lambda: relay.position == 40, "the new log is complete before the consumer comes back")
    async with delivery(fresh_broker, store, topics, projection) as consumer:
        await consumer.wait_for(topic.name, 40, 150)
    assert projection.positions() == list(range(1, 41))


async def test_an_event_that_gets_into_the_new_log_too_early_hides_none(
    fresh_broker: Broker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    """A relay may send one batch into the renewed topic before it notices; a consumer that lags must not jump."""
    await append(store, range(5))
    async with delivery(fresh_broker, store, topics, projection) as consumer:
        await consumer.wait_for(topic.name, 5, 150)
    fresh_broker.restart()
    await append(store, range(5, 20))
    (last,) = [to_entry(e) async for e in store.read_all(after=19)]
    early = new_producer(fresh_broker.bootstrap)
    await KafkaBroker(fresh_broker.bootstrap).open(topic)
    early.produce(
        topic.name, last.value, last.key, 0, headers=dict(last.headers) | counted_headers("/modelog/registry", 20, 19)
    )
    assert await asyncio.to_thread(early.flush, 150) == 0
    async with delivery(fresh_broker, store, topics, projection) as consumer:
        await consumer.wait_for(topic.name, 20, 150)
    assert projection.positions() == list(range(1, 21))


@pytest.mark.slow
async def test_kills_in_the_middle_of_a_stream_of_events(
    fresh_broker: Broker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    async def write() -> None:
        for n in range(600):
            await append(store, [n])

    async with delivery(fresh_broker, store, topics, projection) as consumer:
        writing = asyncio.create_task(write())
        for upto in (100, 250, 400):
            await consumer.wait_for(topic.name, upto, timeout_s=150)
            fresh_broker.restart()
        await writing
        await consumer.wait_for(topic.name, 600, timeout_s=150)
    assert projection.positions() == list(range(1, 601))


async def test_a_dead_letter_that_is_not_told_is_an_error_and_kept(
    fresh_broker: Broker, projection: Projection
) -> None:
    refused = Poison(Received("modelog.acme.outcomes", 0, 0, b"", b"", {}), "because")
    letter = await projection.dead.keep("test", "one", refused)
    fresh_broker.kill()
    with pytest.raises(Unavailable, match=r"does not answer about modelog\.acme\.outcomes\.dead"):
        await announce(KafkaBroker(fresh_broker.bootstrap), letter)
    assert await projection.dead.list("acme", 10) == [letter]
