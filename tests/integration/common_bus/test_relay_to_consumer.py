"""Events from the store over a real broker to a consumer: order, resuming, duplicates, dead letters."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from bus_support import MODELS, Projection, append, header, read_raw, relay_of, running, until
from modelog_common.bus.clients import MAX_MESSAGE_BYTES, new_producer
from modelog_common.bus.deadletters import OFFSET, REASON
from modelog_common.bus.envelope import Received
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import Family, Topic
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent, StoredEvent


async def test_events_arrive_once_in_order_with_their_envelope(
    bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    await append(store, range(3))
    await append(store, [99], "training.job-1")
    received: list[StoredEvent] = []

    async def handle(events: Sequence[StoredEvent], progress: Progress) -> None:
        await projection.handle(events, progress)
        received.extend(events)

    relay, consumer = (
        relay_of(store, topics, bus),
        Consumer(bus, [topics], "once", projection.progress, projection.dead),
    )
    async with running(relay.run(), consumer.run(of_events(handle))):
        await append(store, range(3, 1500))
        await consumer.wait_for(topic.name, await store.head(), 150)
    expected = [e async for e in store.read_all(categories=MODELS)]
    assert received == expected
    assert projection.positions() == [e.position for e in expected]


async def test_a_restarted_relay_goes_on_where_it_was(
    broker: str, bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    await append(store, range(5))
    first = relay_of(store, topics, bus)
    async with running(first.run()):
        await until(lambda: first.position == 5 and first.state == "idle", "five events published")
    await append(store, range(5, 8))
    second = relay_of(store, topics, bus)
    async with running(second.run()):
        await until(lambda: second.position == 8 and second.state == "idle", "three more events published")
    raw = await asyncio.to_thread(read_raw, broker, topic.name, 8)
    assert [header(m, "ce_position") for m in raw] == [str(n) for n in range(1, 9)]
    assert second.lag == 0


async def test_a_restarted_consumer_goes_on_where_it_was(
    bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    await append(store, range(5))
    relay = relay_of(store, topics, bus)
    async with running(relay.run()):
        for upto in (5, 9):
            consumer = Consumer(bus, [topics], "again", projection.progress, projection.dead)
            async with running(consumer.run(of_events(projection.handle))):
                await consumer.wait_for(topic.name, upto, 150)
            await append(store, range(upto, upto + 4))
    assert projection.positions() == list(range(1, 10))


async def test_what_was_published_before_the_log_was_restored_is_left_out(
    bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection, tmp_path: Path
) -> None:
    await append(store, range(6))
    before = relay_of(store, topics, bus)
    async with running(before.run()):
        await until(lambda: before.position == 6 and before.state == "idle", "six events published")
    restored = await SqliteEventStore.open(tmp_path / "restored.db")
    await restored.restore([e async for e in store.read_all(until=2)])
    # The progress of the relay outlived the log.
    after = relay_of(restored, topics, bus, SqliteRelayProgress(store.path))
    consumer = Consumer(bus, [topics], "of now", projection.progress, projection.dead, history=restored.history)
    async with running(after.run(), consumer.run(of_events(projection.handle))):
        await append(restored, range(20, 23))
        await consumer.wait_for(topic.name, 5, 150)
    seen = projection.db.execute("SELECT position, payload FROM seen ORDER BY rowid").fetchall()
    assert seen == list(zip(range(1, 6), ['{"n":0}', '{"n":1}', '{"n":20}', '{"n":21}', '{"n":22}'], strict=True))
    await restored.close()


async def test_what_is_published_twice_is_handled_once(
    bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    await append(store, range(4))
    for _ in range(2):
        relay = relay_of(store, topics, bus, SqliteRelayProgress(store.path.parent / f"{uuid4()}.db"))
        async with running(relay.run()):
            await until(lambda r=relay: r.position == 4, "four events published")
    await append(store, [4])
    relay = relay_of(store, topics, bus)
    consumer = Consumer(bus, [topics], "twice", projection.progress, projection.dead, batch=3)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await consumer.wait_for(topic.name, 5, 150)
    assert projection.positions() == [1, 2, 3, 4, 5]


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(
    broker: str, bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    projection.poison = {b'{"n":1}', b'{"n":3}'}
    await append(store, range(5))
    relay = relay_of(store, topics, bus)
    consumer = Consumer(bus, [topics], "poisoned", projection.progress, projection.dead)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await consumer.wait_for(topic.name, 5, 150)
    assert projection.positions() == [1, 3, 5]
    dead = await asyncio.to_thread(read_raw, broker, topic.dead.name, 2)
    assert [m.value() for m in dead] == [b'{"n":1}', b'{"n":3}']
    assert [header(m, REASON) for m in dead] == ["this payload is poison"] * 2
    assert [header(m, OFFSET) for m in dead] == ["1", "3"]
    assert header(dead[0], "ce_type") == "registry.Tested"


async def test_a_message_that_is_no_event_goes_to_the_dead_letters(
    broker: str, bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    await bus.open(topic)
    producer = new_producer(broker, **{"message.timeout.ms": 150_000})
    producer.produce(topic.name, b"?", headers={"ce_source": "x", "ce_position": "many"})
    producer.produce(topic.name, b"?", headers={"ce_source": "x", "ce_position": "-1"})
    producer.produce(topic.name, b"?")
    assert await asyncio.to_thread(producer.flush, 150) == 0
    await append(store, [0])
    relay = relay_of(store, topics, bus)
    consumer = Consumer(bus, [topics], "strangers", projection.progress, projection.dead)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await consumer.wait_for(topic.name, 1, 150)
    dead = await asyncio.to_thread(read_raw, broker, topic.dead.name, 3)
    reasons = sorted(header(m, REASON) for m in dead)
    assert reasons == [
        "ce_position is -1; positions count from 1",
        "ce_source, ce_position and ce_previous must be text and whole numbers, not 'many'",
        "not an event: ce_specversion is '', not 1.0",
    ]


async def test_a_broken_handler_is_tried_again_and_nothing_is_skipped(
    bus: KafkaBroker, store: SqliteEventStore, topic: Topic, topics: Family, projection: Projection
) -> None:
    projection.broken = {b'{"n":1}'}
    await append(store, range(3))
    relay = relay_of(store, topics, bus)
    consumer = Consumer(bus, [topics], "broken", projection.progress, projection.dead)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await until(lambda: projection.attempts >= 3, "three attempts")
        await until(lambda: consumer.state == "waiting: RuntimeError: the handler is broken", "the state says why")
        assert projection.positions() == []
        projection.broken = set()
        await consumer.wait_for(topic.name, 3, 150)
    assert projection.positions() == [1, 2, 3]


async def test_messages_that_do_not_count_are_read_by_offset(
    broker: str, bus: KafkaBroker, topic: Topic, projection: Projection, tmp_path: Path
) -> None:
    await bus.open(topic)
    producer = new_producer(broker, **{"message.timeout.ms": 150_000})
    got: list[bytes] = []
    db = sqlite3.connect(tmp_path / "p.db", isolation_level=None)
    progress = SqliteProgress(db, "offsets")

    async def handle(batch: Sequence[Received], after: Progress) -> None:
        got.extend(m.value for m in batch)
        progress.save(after)

    for part in (b"ab", b"cd"):
        for letter in part:
            producer.produce(topic.name, bytes([letter]), key="k")
        assert await asyncio.to_thread(producer.flush, 150) == 0
        consumer = Consumer(bus, [topic], "offsets", progress, projection.dead)
        async with running(consumer.run(handle)):
            await until(lambda n=part: got[-1:] == [n[-1:]], f"{part!r} was read")
    assert got == [b"a", b"b", b"c", b"d"]
    saved = await progress.load(topic.name, 0)
    assert saved is not None
    assert saved.offset == 4


async def test_every_partition_that_a_topic_really_has_is_read(
    broker: str, bus: KafkaBroker, projection: Projection
) -> None:
    topic = Topic(f"test.partitions.{uuid4().hex}")
    await bus.open(Topic(topic.name, 3))
    got: list[tuple[int, bytes]] = []

    async def handle(batch: Sequence[Received], after: Progress) -> None:
        got.extend((m.partition, m.value) for m in batch)

    producer = new_producer(broker, **{"message.timeout.ms": 150_000})
    for partition in range(3):
        producer.produce(topic.name, b"x", partition=partition)
    assert await asyncio.to_thread(producer.flush, 150) == 0
    async with running(Consumer(bus, [topic], "partitions", projection.progress, projection.dead).run(handle)):
        await until(lambda: len(got) >= 3, "a message of each partition")
    assert sorted(got) == [(0, b"x"), (1, b"x"), (2, b"x")]


async def test_a_message_that_the_broker_cannot_take_stops_the_relay_and_says_so(
    bus: KafkaBroker, store: SqliteEventStore, topics: Family
) -> None:
    big = NewEvent("big", "registry.Big", 1, b'"' + b"x" * MAX_MESSAGE_BYTES + b'"', "acme", "alice")
    await append(store, [1])
    await store.append("registry.model-2", [big])
    relay = relay_of(store, topics, bus)
    async with running(relay.run()):
        await until(lambda: "cannot be sent" in relay.state, "the relay says that it cannot go on")
    assert "/modelog/registry at position 2 (8000002 bytes) cannot be sent" in relay.state
    assert relay.position == 0
