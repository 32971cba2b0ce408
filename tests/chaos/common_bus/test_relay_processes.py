"""Relays that are stopped, woken and killed: the topic holds every event, and what comes twice is the same."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bus_support import MODELS, Projection, append, header, in_time, read_raw, running, topic_of, until
from confluent_kafka import Message
from modelog_common.bus.envelope import FENCE, POSITION
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.bus.source import Consumer, of_events
from modelog_common.bus.topics import Family
from modelog_common.events.sqlite import SqliteEventStore

SCRIPT = Path(__file__).parent / "relay_process.py"
SOURCE = "/modelog/registry"
SEED = 20261125
ROUNDS = 30


@contextmanager
def relay_process(store: SqliteEventStore, broker: str, topics: Family) -> Iterator[subprocess.Popen[bytes]]:
    """A relay in a process of its own, killed at the end of the block if it still lives."""
    process = subprocess.Popen([sys.executable, str(SCRIPT), str(store.path), broker, topics.prefix])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def stop_between_its_writes(process: subprocess.Popen[bytes], path: Path) -> None:
    """SIGSTOP it where it holds no lock on the file: one asleep within a transaction keeps all others waiting.

    The file's lock is SQLite's own and outlives any lease; only waking or killing its holder ends it.
    """
    async with asyncio.timeout(150):
        while True:
            process.send_signal(signal.SIGSTOP)
            await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if await asyncio.to_thread(_can_be_written, path):
                return
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.001)


def _can_be_written(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=1.0, isolation_level=None)) as db:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        db.execute("ROLLBACK")
    return True


async def holds(messages: Sequence[Message], store: SqliteEventStore) -> None:
    """Every event is there; first copies come in order; a later copy is equal to the first."""
    events = {e.position: e async for e in store.read_all(categories=MODELS)}
    first: dict[int, Message] = {}
    for message in messages:
        position = int(header(message, POSITION))
        known = first.setdefault(position, message)
        assert message.value() == known.value() == events[position].payload
        assert message.key() == known.key() == events[position].stream.encode()
        assert header(message, "ce_id") == events[position].id
    assert list(first) == sorted(events)


def by_token(messages: Sequence[Message]) -> dict[int, list[int]]:
    """The positions that are left for a reader who leaves out what has a lower token than it has seen."""
    highest = 0
    runs: dict[int, list[int]] = {}
    for message in messages:
        token = int(header(message, FENCE))
        highest = max(highest, token)
        if token == highest:
            runs.setdefault(token, []).append(int(header(message, POSITION)))
    return runs


async def test_a_relay_that_was_stopped_and_woken_puts_nothing_out_of_order(
    broker: str, store: SqliteEventStore, topics: Family, projection: Projection
) -> None:
    progress = SqliteRelayProgress(store.path)
    consumer = Consumer(KafkaBroker(broker), [topics], "two relays", projection.progress, projection.dead)

    async def covered(position: int) -> None:
        async with asyncio.timeout(150):
            while (await progress.load(f"{SOURCE}@{store.history}")).covered < position:
                await asyncio.sleep(0.01)

    await append(store, range(500))
    async with running(consumer.run(of_events(projection.handle))):
        with relay_process(store, broker, topics) as first:
            await covered(500)
            with relay_process(store, broker, topics) as second:
                for n in range(500, 3500, 500):
                    # In the middle of its work: the events come while it is stopped, or just before.
                    for m in range(n, n + 500, 100):
                        await append(store, range(m, m + 100))
                    stopped, other = (first, second) if (n // 500) % 2 else (second, first)
                    await stop_between_its_writes(stopped, store.path)
                    await covered(n + 500)
                    stopped.send_signal(signal.SIGCONT)
                    assert other.poll() is None
                await append(store, range(3500, 3600))
                await covered(3600)
                await in_time(consumer, topics, 3600)
                assert (first.poll(), second.poll()) == (None, None)
    raw = await asyncio.to_thread(read_raw, broker, topic_of(topics).name, 3600)
    await holds(raw, store)
    runs = by_token(raw)
    assert len(runs) > 1
    reached = 0
    for run in runs.values():
        # Each holder of the lease goes on without a gap, from at most where the one before it had come.
        assert run == list(range(run[0], run[0] + len(run)))
        assert run[0] <= reached + 1
        reached = max(reached, run[-1])
    assert reached == 3600
    assert projection.positions() == list(range(1, 3601))
    await progress.close()


async def test_kill_9_of_the_relay_at_any_point_loses_and_reorders_nothing(
    broker: str, store: SqliteEventStore, topics: Family, projection: Projection
) -> None:
    chance = random.Random(SEED)
    consumer = Consumer(KafkaBroker(broker), [topics], "killed relay", projection.progress, projection.dead)
    written = 0
    async with running(consumer.run(of_events(projection.handle))):
        for _ in range(ROUNDS):
            with relay_process(store, broker, topics) as process:
                more = chance.randrange(1, 300)
                await append(store, range(written, written + more))
                written += more
                # From before its first line to long after it has caught up.
                await asyncio.sleep(chance.uniform(0.0, 1.0))
                process.kill()
        with relay_process(store, broker, topics):
            await in_time(consumer, topics, written, timeout_s=150)
    await until(lambda: len(projection.positions()) == written, "everything is handled")
    await holds(await asyncio.to_thread(read_raw, broker, topic_of(topics).name, written), store)
    assert projection.positions() == list(range(1, written + 1))
