"""Events a second through the relay, and through a consumer into rows with its position in one transaction.

`python bench_relay.py [EVENTS]`. Beside them: what the broker takes and gives with the same messages and nothing else,
the largest number of events that a relay was behind while eight writers appended as fast as they could, and CPU
seconds of the process, since one core each is what is asked for (at least 20,000 events/s).
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from modelog_common.bus.broker import Outgoing
from modelog_common.bus.deadletters import DeadLetters
from modelog_common.bus.envelope import counted_headers, to_entry
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.bus.publisher import BATCH
from modelog_common.bus.relay import Relay
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import Family
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent, StoredEvent
from modelog_common.read.database import open_database
from modelog_common.telemetry import logs
from modelog_platform.parts.broker import bootstrap_of, start_broker
from modelog_platform.parts.ports import free_port

EVENTS = 100_000
CATEGORY = "registry.run"
PAYLOAD = (
    b'{"run":"01a213cd-275e","name":"train","status":"finished","metrics":{"auc":0.7341,"log_loss":0.473},"by":"al"}'
)
AT_ONCE = 100


class Clock:
    """Wall and CPU seconds of this process from here on."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def rates(self, events: int) -> str:
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return f"{events / wall:>10,.0f} events/s {events / cpu:>10,.0f} per CPU second"


def new_event() -> NewEvent:
    trace = uuid4().hex
    return NewEvent(str(uuid7()), "registry.RunFinished", 1, PAYLOAD, "acme", "alice", str(uuid7()), "", trace)


async def fill(store: SqliteEventStore, events: int, writers: int = 1) -> None:
    async def write(writer: int) -> None:
        for n in range(0, events // writers, AT_ONCE):
            await store.append(f"{CATEGORY}-{writer}-{n}", [new_event() for _ in range(AT_ONCE)])

    await asyncio.gather(*(write(w) for w in range(writers)))


async def bare(broker: KafkaBroker, store: SqliteEventStore, events: int) -> None:
    """The messages made beforehand; only the broker and its client work."""
    topic = Family("bare", f"bench{uuid4().hex}").of("acme")
    await broker.open(topic)
    messages = []
    async for event in store.read_all(until=events):
        entry = to_entry(event)
        counted = counted_headers("/bench", entry.position, entry.position - 1, 1)
        messages.append(Outgoing(topic.name, entry.key, entry.value, {**entry.headers, **counted}))

    async def nothing() -> None:
        """Nobody waits for anything else."""

    sender, clock = broker.sender(), Clock()
    for n in range(0, events, BATCH):
        await sender.send(messages[n : n + BATCH], nothing)
    print(f"{'bare produce':<28}{clock.rates(events)}")
    await sender.close()
    reader, clock, seen = broker.reader("bare", {(topic.name, 0): 0}), Clock(), 0
    while seen < events:
        seen += sum(len(batch) for batch in (await reader.next(BATCH, 1.0)).values())
    print(f"{'bare consume':<28}{clock.rates(events)}")
    await reader.close()


async def relay_rate(relay: Relay, events: int) -> None:
    clock = Clock()
    task = asyncio.create_task(relay.run())
    while relay.position < events:
        await asyncio.sleep(0.005)
    print(f"{'relay':<28}{clock.rates(events)}")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def lag_while_written(relay: Relay, store: SqliteEventStore, events: int) -> None:
    before, clock = await store.head(), Clock()
    task, writing = asyncio.create_task(relay.run()), asyncio.create_task(fill(store, events, writers=8))
    largest = 0
    while not writing.done() or relay.position < await store.head():
        largest = max(largest, await store.head() - relay.position) if relay.position else largest
        await asyncio.sleep(0.01)
    total = await store.head() - before
    print(f"{'written and relayed at once':<28}{clock.rates(total)}   {largest:,} events behind at most")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Rows:
    """A projection: a row for each event, and the position, in one transaction."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute("CREATE TABLE seen (position INTEGER PRIMARY KEY, stream TEXT, type TEXT, at TEXT, body BLOB)")
        self.progress = SqliteProgress(self.db, "bench")

    async def handle(self, events: Sequence[StoredEvent], progress: Progress) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        rows = [(e.position, e.stream, e.type, e.recorded_at.isoformat(), e.payload) for e in events]
        self.db.executemany("INSERT INTO seen VALUES (?, ?, ?, ?, ?)", rows)
        self.progress.save(progress)
        self.db.execute("COMMIT")


async def consume_rate(broker: KafkaBroker, topics: Family, folder: Path, events: int) -> None:
    rows = Rows(folder / "rows.db")
    dead = DeadLetters(open_database(f"sqlite+aiosqlite:///{folder / 'dead.db'}"), SystemClock(), "bench")
    consumer, clock = Consumer(broker, [topics], "bench", rows.progress, dead), Clock()
    task = asyncio.create_task(consumer.run(of_events(rows.handle)))
    await consumer.wait_for(topics.of("acme").name, events, timeout_s=600)
    print(f"{'consumer and projection':<28}{clock.rates(events)}")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await dead.close()


async def main(events: int) -> None:
    port = free_port()
    process = start_broker(port)
    broker = KafkaBroker(bootstrap_of(port))
    topics = Family("events.registry", "bench")
    try:
        with TemporaryDirectory() as name:
            folder = Path(name)
            store = await SqliteEventStore.open(folder / "events.db")
            progress = SqliteRelayProgress(store.path)

            def relay() -> Relay:
                return Relay(store, "registry", [CATEGORY], topics, broker, progress)

            await fill(store, events)
            await bare(broker, store, events)
            await relay_rate(relay(), events)
            await consume_rate(broker, topics, folder, events)
            await lag_while_written(relay(), store, events)
            await store.close()
            await progress.close()
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    logs.configure("bench", "error")
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
