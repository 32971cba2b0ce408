"""What the tests of the bus share: a projection on SQLite, tasks for the length of a block, raw reading."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Message, TopicPartition
from modelog_common.bus.broker import Broker
from modelog_common.bus.clients import new_consumer
from modelog_common.bus.deadletters import DeadLetters
from modelog_common.bus.leases import RelayProgress, SqliteRelayProgress
from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.bus.relay import Relay
from modelog_common.bus.source import Consumer, PoisonEvent
from modelog_common.bus.topics import Family, Topic
from modelog_common.domain.clock import SystemClock
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent, StoredEvent
from modelog_common.read.database import open_database

MODELS = ("registry.model",)
TENANT = "acme"


def new_event(n: int, tenant: str = TENANT) -> NewEvent:
    return NewEvent(str(uuid4()), "registry.Tested", 1, b'{"n":%d}' % n, tenant, "alice", trace_id="t1")


async def append(
    store: SqliteEventStore, numbers: Sequence[int], stream: str = "registry.model-1", tenant: str = TENANT
) -> None:
    """One event for each number, in one append."""
    await store.append(stream, [new_event(n, tenant) for n in numbers])


def relay_of(
    store: SqliteEventStore, topics: Family, broker: Broker, progress: RelayProgress | None = None, lease_s: float = 1.0
) -> Relay:
    progress = progress or SqliteRelayProgress(store.path)
    return Relay(store, "registry", MODELS, topics, broker, progress, lease_s=lease_s)


def topic_of(topics: Family) -> Topic:
    """The topic of the tenant that these tests' events are of."""
    return topics.of(TENANT)


async def in_time(consumer: Consumer, topics: Family, position: int, timeout_s: float = 150) -> None:
    """Wait until the consumer has handled this position of the tenant's topic."""
    await consumer.wait_for(topic_of(topics).name, position, timeout_s)


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run tasks for the length of a block; one that fails fails the block."""
    tasks = [asyncio.create_task(w) for w in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if result is not None and not isinstance(result, asyncio.CancelledError):
            raise result


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 150) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not in {timeout_s:g} s: {what}")
        await asyncio.sleep(0.01)


class Projection:
    """Rows and progress in one SQLite file; `poison` and `broken` are payloads at which the handler fails."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=150)
        self.db.execute("CREATE TABLE IF NOT EXISTS seen (position INTEGER, payload TEXT)")
        self.progress = SqliteProgress(self.db, "test")
        self.dead = DeadLetters(
            open_database(f"sqlite+aiosqlite:///{path.with_suffix('.dead')}"), SystemClock(), "test"
        )
        self.poison: set[bytes] = set()
        self.broken: set[bytes] = set()
        self.attempts = 0

    async def handle(self, events: Sequence[StoredEvent], progress: Progress) -> None:
        self.attempts += 1
        self.db.execute("BEGIN IMMEDIATE")
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


def read_raw(bootstrap: str, topic: str, at_least: int, quiet_s: float = 0.5) -> list[Message]:
    """What is in a topic: `at_least` so many messages, and any that follow within `quiet_s`."""
    consumer = new_consumer(bootstrap, "raw")
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[Message] = []
    deadline = time.monotonic() + 150
    while (message := consumer.poll(quiet_s)) is not None or len(found) < at_least:
        assert time.monotonic() < deadline, f"{len(found)} of {at_least} messages in {topic}"
        if message is not None:
            assert message.error() is None
            found.append(message)
    consumer.close()
    return found


def header(message: Message, name: str) -> str:
    """A header of a raw message, as text."""
    value = dict(message.headers() or ())[name]
    return value.decode() if isinstance(value, bytes) else str(value)
