"""Who appends in bench_event_store.py: Modelog's store, SQLite alone as its limit, `eventsourcing` as its peer."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent as PeerEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from modelog_common.domain.ids import uuid7
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent

PAYLOAD = b'{"name":"held_out_auc","value":0.7341,"step":17,"unit":"share","at":"2026-11-05T10:00:00Z","note":"ok"}'
TOPIC = "bench.Measured"
BLOCK_BYTES = 4096


async def modelog_rate(folder: Path, writers: int, batch: int, round_s: float) -> float:
    """Events a second that `append` acknowledged to so many tasks, each with a stream of its own."""
    store = await SqliteEventStore.open(folder / "modelog.db")
    began = time.perf_counter()
    try:
        counts = await asyncio.gather(*(_append(store, batch, began + round_s) for _ in range(writers)))
        return sum(counts) / (time.perf_counter() - began)
    finally:
        await store.close()


async def _append(store: SqliteEventStore, batch: int, until: float) -> int:
    stream, version = f"bench.run-{uuid7()}", 0
    while time.perf_counter() < until:
        events = [NewEvent(str(uuid7()), TOPIC, 1, PAYLOAD, "default", "bench") for _ in range(batch)]
        version = (await store.append(stream, events, expected=version)).version
    return version


def sqlite_rate(folder: Path, rows: int, round_s: float) -> float:
    """Events a second of `rows` inserts a durable transaction into the same table, without any check: the limit."""
    db = sqlite3.connect(folder / "modelog.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    names = (
        "position, event_id, stream, version, type, schema, recorded_at, tenant, actor, correlation, causation, trace"
    )
    insert = f"INSERT INTO events ({names}, payload) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
    (head,) = db.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
    stream, began, written = f"bench.limit-{uuid7()}", time.perf_counter(), 0
    while time.perf_counter() < began + round_s:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(insert, _rows(stream, head, written, rows))
        db.execute("COMMIT")
        written += rows
    rate = written / (time.perf_counter() - began)
    db.close()
    return rate


def _rows(stream: str, head: int, written: int, count: int) -> Iterator[tuple[object, ...]]:
    for n in range(written + 1, written + count + 1):
        at = "2026-11-05T10:00:00.000000+00:00"
        yield head + n, str(uuid7()), stream, n, TOPIC, 1, at, "default", "bench", "", "", "", PAYLOAD


def peer_rate(folder: Path, writers: int, batch: int, round_s: float) -> float:
    """Events a second of the recorder of `eventsourcing`, whose SQLite is synchronous=FULL too, by so many threads."""
    recorder = SQLiteApplicationRecorder(SQLiteDatastore(str(folder / "peer.db"), pool_timeout=60))
    recorder.create_table()
    began, counts = time.perf_counter(), list[int]()

    def write() -> None:
        originator, version = uuid4(), 0
        while time.perf_counter() < began + round_s:
            recorder.insert_events(_peer_events(originator, version, batch))
            version += batch
        counts.append(version)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - began
    recorder.datastore.close()
    if len(counts) < writers:
        raise RuntimeError(f"{writers - len(counts)} of {writers} writers of the peer failed")
    return sum(counts) / elapsed_s


def _peer_events(originator: UUID, version: int, batch: int) -> list[PeerEvent]:
    return [
        PeerEvent(originator_id=originator, originator_version=version + n, topic=TOPIC, state=PAYLOAD)
        for n in range(1, batch + 1)
    ]


def fsync_rate(folder: Path, round_s: float) -> float:
    """Blocks a second that are written to a file, each made durable by itself."""
    block, count = os.urandom(BLOCK_BYTES), 0
    descriptor = os.open(folder / "fsync", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    began = time.perf_counter()
    while time.perf_counter() < began + round_s:
        os.pwrite(descriptor, block, count % 256 * BLOCK_BYTES)
        os.fsync(descriptor)
        count += 1
    rate = count / (time.perf_counter() - began)
    os.close(descriptor)
    return rate
