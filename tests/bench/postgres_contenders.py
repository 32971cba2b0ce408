"""Who writes and listens in bench_event_store_postgres.py: Modelog's store, and `eventsourcing`, on one server.

As a script it is one writing process: postgres_contenders.py modelog|peer URL WRITERS SECONDS. It says when it is
ready, is told when to begin, and prints how many events were acknowledged and how long that took.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit
from uuid import uuid4

import uvloop
from eventsourcing.persistence import StoredEvent as PeerEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from modelog_common.domain.ids import uuid7
from modelog_common.events.postgres import PostgresEventStore
from modelog_common.events.store import EventStore, NewEvent

PAYLOAD = b'{"name":"held_out_auc","value":0.7341,"step":17,"unit":"share","at":"2026-11-05T10:00:00Z","note":"ok"}'
TOPIC = "bench.Measured"
START_S = 0.2


def peer_recorder(url: str, connections: int) -> PostgresApplicationRecorder:
    """The recorder of `eventsourcing` on the same server, with a connection for each writer."""
    parts = urlsplit(url)
    datastore = PostgresDatastore(
        parts.path.strip("/"), str(parts.hostname), str(parts.port), str(parts.username), str(parts.password),
        pool_size=connections, max_overflow=4, max_waiting=200,
    )  # fmt: skip
    return PostgresApplicationRecorder(datastore, events_table_name="peer_events")


def rate(contender: str, url: str, writers: int, processes: int, round_s: float) -> float:
    """Events a second that so many writers, spread over processes, got acknowledged."""
    each = writers // processes
    children = [
        subprocess.Popen(
            [sys.executable, __file__, contender, url, str(each), str(round_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(processes)
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    begin = time.time() + START_S
    total, longest = 0, 0.0
    for child in children:
        out, _ = child.communicate(f"{begin}\n")
        if child.returncode:
            raise RuntimeError(f"a writing process of {contender} failed")
        count, elapsed_s = out.split()
        total, longest = total + int(count), max(longest, float(elapsed_s))
    return total / longest


def when_to_begin() -> float:
    """Say that this process is ready, and wait until all are."""
    print("ready", flush=True)
    return float(sys.stdin.readline())


async def modelog_writes(url: str, writers: int, round_s: float) -> tuple[int, float]:
    store = await PostgresEventStore.open(url)
    await store.append(f"bench.warm-{uuid7()}", [_event()])
    begin = when_to_begin()
    await asyncio.sleep(max(0.0, begin - time.time()))
    counts = await asyncio.gather(*(_append(store, begin + round_s) for _ in range(writers)))
    elapsed_s = time.time() - begin
    await store.close()
    return sum(counts), elapsed_s


async def _append(store: EventStore, until: float) -> int:
    stream, version = f"bench.run-{uuid7()}", 0
    while time.time() < until:
        version = (await store.append(stream, [_event()], expected=version)).version
    return version


def _event() -> NewEvent:
    return NewEvent(str(uuid7()), TOPIC, 1, PAYLOAD, "default", "bench")


def peer_writes(url: str, writers: int, round_s: float) -> tuple[int, float]:
    recorder, counts = peer_recorder(url, writers), list[int]()
    recorder.insert_events([PeerEvent(uuid4(), 1, TOPIC, PAYLOAD)])
    begin = when_to_begin()

    def write() -> None:
        originator, version = uuid4(), 0
        while time.time() < begin + round_s:
            version += 1
            recorder.insert_events([PeerEvent(originator, version, TOPIC, PAYLOAD)])
        counts.append(version)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    time.sleep(max(0.0, begin - time.time()))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.time() - begin
    recorder.datastore.close()
    if len(counts) < writers:
        sys.exit(f"{writers - len(counts)} of {writers} writers of the peer failed")
    return sum(counts), elapsed_s


async def modelog_latencies(store: EventStore, other: EventStore, count: int) -> list[float]:
    """Milliseconds from before an append to the callback of a subscriber with connections of its own."""
    latencies: list[float] = []
    begun, seen = 0.0, asyncio.Event()
    after = await store.head()

    async def listen() -> None:
        async for _ in other.subscribe(after=after):
            latencies.append((time.perf_counter() - begun) * 1000)
            seen.set()

    listening = asyncio.create_task(listen())
    await other.wait_beyond(after - 1, timeout_s=5)
    stream = f"bench.run-{uuid7()}"
    for _ in range(count):
        seen.clear()
        begun = time.perf_counter()
        await store.append(stream, [_event()])
        await seen.wait()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return latencies


def peer_latencies(url: str, count: int) -> list[float]:
    """The same with the peer: its subscription, in a thread of its own."""
    recorder, listener = peer_recorder(url, 2), peer_recorder(url, 4)
    latencies: list[float] = []
    begun, seen = [0.0], threading.Event()

    def listen() -> None:
        with listener.subscribe(gt=recorder.max_notification_id()) as subscription:
            ready.set()
            for _ in subscription:
                latencies.append((time.perf_counter() - begun[0]) * 1000)
                seen.set()
                if len(latencies) == count:
                    return

    ready = threading.Event()
    thread = threading.Thread(target=listen)
    thread.start()
    ready.wait()
    originator = uuid4()
    for n in range(1, count + 1):
        seen.clear()
        begun[0] = time.perf_counter()
        recorder.insert_events([PeerEvent(originator, n, TOPIC, PAYLOAD)])
        seen.wait(timeout=30)
    thread.join(timeout=30)
    recorder.datastore.close()
    listener.datastore.close()
    return latencies


if __name__ == "__main__":
    contender, url, writers, round_s = sys.argv[1:]
    if contender == "peer":
        print(*peer_writes(url, int(writers), float(round_s)))
    else:
        print(*uvloop.run(modelog_writes(url, int(writers), float(round_s))))
