"""Events from the store over a real broker to a consumer: order, resuming, duplicates, dead letters."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Message
from modelog_common.bus.clients import Admin, new_consumer, new_producer
from modelog_common.bus.deadletters import OFFSET, REASON
from modelog_common.bus.envelope import Received
from modelog_common.bus.progress import Progress, SqliteProgress, SqliteRelayProgress
from modelog_common.bus.relay import Relay
from modelog_common.bus.source import Consumer, PoisonEvent, of_events
from modelog_common.bus.topics import Topic
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent, StoredEvent

MODELS = ("registry.model",)


def new_event(n: int) -> NewEvent:
    return NewEvent(str(uuid4()), "registry.Tested", 1, b'{"n":%d}' % n, "acme", "alice", trace_id="t1")


@asynccontextmanager
async def running(*work: Awaitable[None]) -> AsyncIterator[None]:
    """Run tasks for the length of a block."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not in {timeout_s:g} s: {what}")


class Projection:
    """Rows and progress in one SQLite file; `refuse` makes the handler fail at a payload."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("CREATE TABLE IF NOT EXISTS seen (position INTEGER, payload TEXT)")
        self.progress = SqliteProgress(self.db, "test")
        self.poison: set[bytes] = set()
        self.broken: set[bytes] = set()
        self.attempts = 0

    async def handle(self, events: Sequence[StoredEvent], progress: Progress) -> None:
        self.attempts += 1
        self.db.execute("BEGIN")
        try:
            for event in events:
                if event.payload in self.poison:
                    raise PoisonEvent(event, "this payload is poison")
                if event.payload in self.broken:
                    raise RuntimeError("the handler is broken")
                self.db.execute("INSERT INTO seen VALUES (?, ?)", (event.position, event.payload.decode()))
            self.progress.save(progress)
            self.db.execute("COMMIT")
        except BaseException:
            self.db.execute("ROLLBACK")
            raise

    def positions(self) -> list[int]:
        return [row[0] for row in self.db.execute("SELECT position FROM seen ORDER BY rowid")]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    opened = await SqliteEventStore.open(tmp_path / "events.db")
    yield opened
    await opened.close()


@pytest.fixture
def topic() -> Topic:
    return Topic(f"test.events.{uuid4().hex}.registry")


@pytest.fixture
def projection(tmp_path: Path) -> Projection:
    return Projection(tmp_path / "projection.db")


def relay_of(store: SqliteEventStore, topic: Topic, bootstrap: str) -> Relay:
    return Relay(store, MODELS, topic, bootstrap, SqliteRelayProgress(store.path))


async def append(store: SqliteEventStore, numbers: Sequence[int], stream: str = "registry.model-1") -> None:
    for n in numbers:
        await store.append(stream, [new_event(n)])


def read_raw(bootstrap: str, topic: str, count: int) -> list[Message]:
    """The first `count` messages of a topic."""
    from confluent_kafka import TopicPartition

    consumer = new_consumer(bootstrap, "raw")
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[Message] = []
    for _ in range(100):
        message = consumer.poll(0.1)
        if message is not None:
            assert message.error() is None
            found.append(message)
        if len(found) == count:
            break
    consumer.close()
    return found


async def test_events_arrive_once_in_order_with_their_envelope(
    broker: str, store: SqliteEventStore, topic: Topic, tmp_path: Path
) -> None:
    await append(store, range(3))
    await append(store, [99], "training.job-1")
    received: list[StoredEvent] = []
    projection = Projection(tmp_path / "p.db")

    async def handle(events: Sequence[StoredEvent], progress: Progress) -> None:
        await projection.handle(events, progress)
        received.extend(events)

    relay, consumer = relay_of(store, topic, broker), Consumer(broker, [topic], "once", projection.progress)
    async with running(relay.run(), consumer.run(of_events(handle))):
        await append(store, range(3, 1500))
        await consumer.wait_for(topic.name, await store.head())
    expected = [e async for e in store.read_all(categories=MODELS)]
    assert received == expected
    assert projection.positions() == [e.position for e in expected]


async def test_a_restarted_relay_goes_on_where_it_was(
    broker: str, store: SqliteEventStore, topic: Topic, projection: Projection
) -> None:
    await append(store, range(5))
    first = relay_of(store, topic, broker)
    async with running(first.run()):
        await until(lambda: first.position == 5, "five events published")
    await append(store, range(5, 8))
    second = relay_of(store, topic, broker)
    async with running(second.run()):
        await until(lambda: second.position == 8, "three more events published")
    raw = await asyncio.to_thread(read_raw, broker, topic.name, 9)
    assert [dict(m.headers() or ())["ce_position"] for m in raw] == [b"%d" % n for n in range(1, 9)]
    assert second.state == "idle"
    assert second.lag == 0


async def test_a_restarted_consumer_goes_on_where_it_was(
    broker: str, store: SqliteEventStore, topic: Topic, projection: Projection
) -> None:
    await append(store, range(5))
    relay = relay_of(store, topic, broker)
    async with running(relay.run()):
        for upto in (5, 9):
            await append(store, range(await store.head(), upto))
            consumer = Consumer(broker, [topic], "again", projection.progress)
            async with running(consumer.run(of_events(projection.handle))):
                await consumer.wait_for(topic.name, upto)
    assert projection.positions() == list(range(1, 10))


async def test_what_is_published_twice_is_handled_once(
    broker: str, store: SqliteEventStore, topic: Topic, projection: Projection
) -> None:
    await append(store, range(4))
    for _ in range(2):
        relay = Relay(store, MODELS, topic, broker, SqliteRelayProgress(store.path.parent / f"{uuid4()}.db"))
        async with running(relay.run()):
            await until(lambda r=relay: r.position == 4, "four events published")
    await append(store, [4])
    relay = relay_of(store, topic, broker)
    consumer = Consumer(broker, [topic], "twice", projection.progress, batch=3)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await consumer.wait_for(topic.name, 5)
    assert projection.positions() == [1, 2, 3, 4, 5]


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(
    broker: str, store: SqliteEventStore, topic: Topic, projection: Projection
) -> None:
    projection.poison = {b'{"n":1}', b'{"n":3}'}
    await append(store, range(5))
    relay = relay_of(store, topic, broker)
    consumer = Consumer(broker, [topic], "poisoned", projection.progress)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await consumer.wait_for(topic.name, 5)
    assert projection.positions() == [1, 3, 5]
    dead = await asyncio.to_thread(read_raw, broker, topic.dead.name, 2)
    headers = [dict(m.headers() or ()) for m in dead]
    assert [m.value() for m in dead] == [b'{"n":1}', b'{"n":3}']
    assert [h[REASON] for h in headers] == [b"this payload is poison"] * 2
    assert [h[OFFSET] for h in headers] == [b"1", b"3"]
    assert headers[0]["ce_type"] == b"registry.Tested"


async def test_a_message_that_is_no_event_goes_to_the_dead_letters(
    broker: str, store: SqliteEventStore, topic: Topic, projection: Projection
) -> None:
    await Admin(broker).open(topic)
    producer = new_producer(broker)
    producer.produce(topic.name, b"?", headers={"ce_source": "x", "ce_position": "many"})
    producer.produce(topic.name, b"?", headers={"ce_source": "x", "ce_position": "-1"})
    producer.produce(topic.name, b"?")
    assert await asyncio.to_thread(producer.flush, 5) == 0
    await append(store, [0])
    relay = relay_of(store, topic, broker)
    consumer = Consumer(broker, [topic], "strangers", projection.progress)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await consumer.wait_for(topic.name, 1)
    dead = await asyncio.to_thread(read_raw, broker, topic.dead.name, 3)
    reasons = sorted((dict(m.headers() or ())[REASON] or b"").decode() for m in dead)
    assert reasons == [
        "ce_position is -1; positions count from 1",
        "ce_source, ce_position and ce_previous must be text and whole numbers, not 'many'",
        "not an event: ce_specversion is '', not 1.0",
    ]


async def test_a_broken_handler_is_tried_again_and_nothing_is_skipped(
    broker: str, store: SqliteEventStore, topic: Topic, projection: Projection
) -> None:
    projection.broken = {b'{"n":1}'}
    await append(store, range(3))
    relay = relay_of(store, topic, broker)
    consumer = Consumer(broker, [topic], "broken", projection.progress)
    async with running(relay.run(), consumer.run(of_events(projection.handle))):
        await until(lambda: projection.attempts >= 3, "three attempts")
        assert consumer.state == "waiting: RuntimeError: the handler is broken"
        assert projection.positions() == []
        projection.broken = set()
        await consumer.wait_for(topic.name, 3)
    assert projection.positions() == [1, 2, 3]


async def test_messages_that_do_not_count_are_read_by_offset(broker: str, topic: Topic, tmp_path: Path) -> None:
    await Admin(broker).open(topic)
    producer = new_producer(broker)
    got: list[bytes] = []
    db = sqlite3.connect(tmp_path / "p.db", isolation_level=None)
    progress = SqliteProgress(db, "offsets")

    async def handle(batch: Sequence[Received], after: Progress) -> None:
        got.extend(m.value for m in batch)
        progress.save(after)

    for part in (b"ab", b"cd"):
        for letter in part:
            producer.produce(topic.name, bytes([letter]), key="k")
        assert await asyncio.to_thread(producer.flush, 5) == 0
        consumer = Consumer(broker, [topic], "offsets", progress)
        async with running(consumer.run(handle)):
            await until(lambda n=part: got[-1:] == [n[-1:]], f"{part!r} was read")
    assert got == [b"a", b"b", b"c", b"d"]
    saved: Any = await progress.load(topic.name, 0)
    assert saved.offset == 4
