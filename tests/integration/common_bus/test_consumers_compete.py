"""Several instances of one consumer, several partitions, and messages out of order: each is handled once."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from bus_support import Projection, append, in_time, relay_of, running, topic_of, until
from modelog_common.bus.clients import new_producer
from modelog_common.bus.envelope import Received, counted_headers, to_entry
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.progress import Overtaken, Place, Progress, SqliteProgress
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import Family, Topic
from modelog_common.events.sqlite import SqliteEventStore


class Partitions:
    """Counts what it was given of each partition, in a database that all instances share."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=150)
        self.db.execute("CREATE TABLE IF NOT EXISTS got (part INTEGER, value BLOB)")
        self.progress = SqliteProgress(self.db, "parts")

    async def handle(self, batch: Sequence[Received], progress: Progress) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self.db.executemany("INSERT INTO got VALUES (?, ?)", [(m.partition, m.value) for m in batch])
            self.progress.save(progress)
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")


async def test_two_instances_of_a_consumer_handle_each_event_once(
    bus: KafkaBroker, store: SqliteEventStore, topics: Family, tmp_path: Path
) -> None:
    instances = [Projection(tmp_path / "projection.db") for _ in range(2)]
    consumers = [Consumer(bus, [topics], "both", p.progress, p.dead, batch=20) for p in instances]
    relay = relay_of(store, topics, bus)
    work = [c.run(of_events(p.handle)) for c, p in zip(consumers, instances, strict=True)]
    async with running(relay.run(), *work):
        for n in range(0, 1000, 50):
            await append(store, range(n, n + 50))
        await until(lambda: len(instances[0].positions()) >= 1000, "everything is handled")
        # A refusal by the other's row may still be on its way: it must not add anything either.
        for consumer in consumers:
            await in_time(consumer, topics, 1000)
    assert instances[0].positions() == list(range(1, 1001))
    for instance in instances:
        await instance.dead.close()


async def test_instances_that_read_several_partitions_handle_each_message_once(
    broker: str, bus: KafkaBroker, projection: Projection, tmp_path: Path
) -> None:
    topic = Topic(f"test.partitions.{uuid4().hex}", 3)
    await bus.open(topic)
    producer = new_producer(broker, **{"message.timeout.ms": 150_000})
    for n in range(300):
        producer.produce(topic.name, b"%d" % n, partition=n % 3)
    assert await asyncio.to_thread(producer.flush, 150) == 0
    parts = [Partitions(tmp_path / "parts.db") for _ in range(3)]
    consumers = [Consumer(bus, [topic], "parts", p.progress, projection.dead, batch=7) for p in parts]
    first = asyncio.create_task(consumers[0].run(parts[0].handle))
    async with running(*(c.run(p.handle) for c, p in zip(consumers[1:], parts[1:], strict=True))):
        await until(lambda: parts[0].db.execute("SELECT count(*) FROM got").fetchone()[0] > 50, "some are handled")
        first.cancel()  # one of them goes: the others have all its partitions
        await until(lambda: parts[1].db.execute("SELECT count(*) FROM got").fetchone()[0] >= 300, "all are handled")
    for part in range(3):
        got = [int(v) for (v,) in parts[0].db.execute("SELECT value FROM got WHERE part = ? ORDER BY rowid", (part,))]
        assert got == list(range(part, 300, 3))
    await asyncio.gather(first, return_exceptions=True)


async def test_repeated_and_reordered_messages_are_handled_once_in_order(
    broker: str, bus: KafkaBroker, store: SqliteEventStore, topics: Family, projection: Projection
) -> None:
    """A relay that repeats itself, and strangers that put copies in any order, before and between."""
    await append(store, range(60))
    topic = topic_of(topics)
    await bus.open(topic)
    entries = [to_entry(e) async for e in store.read_all()]
    chance = random.Random(7)
    producer = new_producer(broker, **{"message.timeout.ms": 150_000})
    for entry in chance.choices(entries, k=200):
        headers = {**entry.headers, **counted_headers("/modelog/registry", entry.position, entry.position - 1)}
        producer.produce(topic.name, entry.value, entry.key, 0, headers=headers)
    assert await asyncio.to_thread(producer.flush, 150) == 0
    consumer = Consumer(bus, [topics], "shuffled", projection.progress, projection.dead, batch=9)
    async with running(consumer.run(of_events(projection.handle)), relay_of(store, topics, bus).run()):
        await in_time(consumer, topics, 60)
    assert projection.positions() == list(range(1, 61))


async def test_a_batch_that_another_instance_has_handled_is_refused_whole(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "p.db", isolation_level=None)
    progress = SqliteProgress(db, "mine")
    begun = Progress("t", 0, "one", 5, {"/a": 5}, 1, Place())
    progress.save(begun)
    progress.save(Progress("t", 0, "one", 9, {"/a": 9}, 2, begun.place))
    with pytest.raises(Overtaken, match=r"another instance of mine reads t\[0\]: it has gone on from offset 5"):
        progress.save(Progress("t", 0, "one", 7, {"/a": 7}, 2, begun.place))
    with pytest.raises(Overtaken):
        progress.save(begun)
    found = await progress.load("t", 0)
    assert found is not None
    assert found.place == Place("one", 9, 2)
