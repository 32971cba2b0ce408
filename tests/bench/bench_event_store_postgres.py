"""Appends and their way to a subscriber in PostgreSQL, beside `eventsourcing` (PyPI) on the same server.

Run: python tests/bench/bench_event_store_postgres.py; it starts a PostgreSQL of its own, with durable settings.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import asyncpg
import uvloop
from event_store_contenders import fsync_rate
from figures import machine, median, per_s, print_table, ratio
from modelog_common.domain.ids import uuid7
from modelog_common.events.postgres import PostgresEventStore
from modelog_platform.servers import postgres
from modelog_platform.servers.catalogue import install
from modelog_platform.servers.running import RunningServer
from postgres_contenders import PAYLOAD, modelog_latencies, peer_latencies, peer_recorder, rate

ROUNDS = 5
ROUND_S = 1.0
LATENCIES = 300
# (what it is called, writers, processes, how many times the peer is asked for)
CASES = (("1 writer", 1, 1, 1.8), ("8 writers, 4 processes", 8, 4, 8.0), ("64 writers, 4 processes", 64, 4, 20.0))


async def appends(url: str) -> None:
    """Contenders take turns, so that other work on the machine slows all alike."""
    rows = []
    for name, writers, processes, wanted in CASES:
        ours, peer, bare = [], [], []
        for _ in range(ROUNDS):
            ours.append(await asyncio.to_thread(rate, "modelog", url, writers, processes, ROUND_S))
            peer.append(await asyncio.to_thread(rate, "peer", url, writers, processes, ROUND_S))
            bare.append(await bare_rate(url, writers))
        mine, other, most = median(ours), median(peer), median(bare)
        rows.append(
            [name, per_s(mine), per_s(most), ratio(mine, most), per_s(other), ratio(mine, other), f"{wanted:g} x"]
        )
    columns = ["appended events/s", "modelog", "bare inserts", "of it", "eventsourcing", "modelog to it", "wanted"]
    print_table("Appends of one event, all durable", columns, rows)
    print("  bare inserts: one connection, all writers' events in one statement, same table, nothing checked")
    await count_what_is_there(url)


async def bare_rate(url: str, rows: int) -> float:
    """Events a second of `rows` inserts a statement into a table like ours, by one connection: the limit."""
    loop = asyncio.get_running_loop()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS bare (LIKE modelog_events.events INCLUDING ALL)")
    insert = f"""INSERT INTO bare (position, event_id, stream, version, type, schema, recorded_at, tenant, actor,
      correlation, causation, trace, payload, category)
      SELECT $1 + n, $2 || n, $2, n, 'bench.Measured', 1, now(), 'default', 'bench', '', '', '', $3, 'bench'
      FROM generate_series(1, {rows}) n"""
    written = await connection.fetchval("SELECT coalesce(max(position), 0) FROM bare")
    first, began = written, loop.time()
    while loop.time() < began + ROUND_S:
        await connection.execute(insert, written, f"bench.limit-{uuid7()}", PAYLOAD)
        written += rows
    elapsed_s = loop.time() - began
    await connection.close()
    return float((written - first) / elapsed_s)


async def count_what_is_there(url: str) -> None:
    connection = await asyncpg.connect(url)
    count, head = await connection.fetchrow("SELECT count(*), max(position) FROM modelog_events.events")
    await connection.close()
    print(f"  modelog's positions: {count:,} events up to position {head:,}, {head - count} missing")


async def latencies(url: str) -> None:
    store, other = await PostgresEventStore.open(url), await PostgresEventStore.open(url)
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours.append(median(await modelog_latencies(store, other, LATENCIES)))
        peer.append(median(await asyncio.to_thread(peer_latencies, url, LATENCIES)))
    await store.close()
    await other.close()
    mine, theirs = median(ours), median(peer)
    columns = ["p50, ms", "modelog", "eventsourcing", "modelog to it", "wanted"]
    row = ["append to a subscriber's callback", f"{mine:.2f}", f"{theirs:.2f}", ratio(mine, theirs), "0.6 x at most"]
    print_table(f"Latency, {LATENCIES} appends a round, one at a time", columns, [row])


async def measure(server: RunningServer) -> None:
    url = postgres.create_database(server.site, "bench")
    await (await PostgresEventStore.open(url)).close()
    recorder = await asyncio.to_thread(peer_recorder, url, 1)
    await asyncio.to_thread(recorder.create_table)
    recorder.datastore.close()
    await appends(url)
    await latencies(url)


def main() -> None:
    install(["postgres"], lambda name, step: print(f"{name}: {step}"))
    with tempfile.TemporaryDirectory(prefix="bench-postgres-") as folder:
        # PostgreSQL runs as an account of its own.
        Path(folder).chmod(0o711)
        server = RunningServer("postgres", Path(folder) / "postgres")
        server.start()
        try:
            disk = median([fsync_rate(Path(folder), 0.5) for _ in range(ROUNDS)])
            print(
                f"PostgreSQL event store: median of {ROUNDS} rounds; the disk does {per_s(disk)} fsync/s; {machine()}"
            )
            uvloop.run(measure(server))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
