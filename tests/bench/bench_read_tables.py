"""Speed of a temporal read model: its rebuild, and questions about the middle of a long history.

    python tests/bench/bench_read_tables.py                       # 1,000,000 events, SQLite
    python tests/bench/bench_read_tables.py --events 50000
    python tests/bench/bench_read_tables.py --url postgresql://postgres@127.0.0.1:5432/bench

A rebuild reads the log, folds every entity and writes a row as of each event. The limit is what the database takes of
the same finished rows and nothing else, in batches of the same size, by the same driver. Questions about the middle are
compared with the same ones about now; the histories have 10 and 1,000 versions of each row.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import uvloop
from figures import machine, median, per_s, print_table, ratio
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import StoredEvent
from modelog_common.events.types import EventTypes, event
from modelog_common.read.database import load_progress, open_database, save_progress
from modelog_common.read.project import BATCH, EntityProjection, Projector
from modelog_common.read.queries import Queries
from modelog_common.read.tables import FOREVER, Change, Dated, Put, temporal_table, write
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1.experiment_pb2 import Experiment
from sqlalchemy import BigInteger, Column, MetaData, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

ROUNDS = 3
QUESTIONS = 300
PAGE = 100
TENANT = "default"
VERSIONS = (10, 1000)
AT_ONCE = 2000


@event("bench.Measured")
class Measured:
    name: str
    value: int


@dataclass(frozen=True)
class Gauge:
    name: str = ""
    last: int = 0
    total: int = 0


def decide(gauge: Gauge, command: Measured, ctx: Context) -> Sequence[Measured]:
    return [command]


def evolve(gauge: Gauge, happened: Measured) -> Gauge:
    return Gauge(happened.name, happened.value, gauge.total + happened.value)


TYPES = EventTypes([Measured])
GAUGE: Decider[Gauge, Measured, Measured] = Decider("bench.gauge", Gauge, decide, evolve)
TABLES = MetaData()
GAUGES = temporal_table(
    TABLES, "gauges", key=["name"], columns=[Column("last", BigInteger, nullable=False)], orders=[["last"]]
)
DESCRIPTION = "what a row of an ordinary entity holds besides: " + "x" * 100


def rows(gauge: Gauge, stored: StoredEvent) -> Sequence[Change]:
    body = Experiment(name=gauge.name, description=DESCRIPTION, position=stored.position).SerializeToString()
    return [Put(GAUGES, {"name": gauge.name}, body, {"last": gauge.last})]


def log_of(events: int, versions: int, at_once: int | None = None) -> Iterator[StoredEvent]:
    """Measurements of `events / versions` gauges in random order, the same ones each time.

    Of all gauges, or of so many at once and then of the next ones, as entities come and go.
    """
    chance = random.Random(versions)
    order = [n // versions for n in range(events)]
    window = (at_once or events) * versions
    for first in range(0, events, window):
        part = order[first : first + window]
        chance.shuffle(part)
        order[first : first + window] = part
    seen = [0] * (events // versions + 1)
    now = SystemClock().now()
    for position, n in enumerate(order, start=1):
        seen[n] += 1
        name, schema, payload = TYPES.encode(Measured(f"gauge-{n:07}", chance.randrange(1_000_000)))
        stream, key = f"bench.gauge-{n}", f"{versions}-{position}"
        yield StoredEvent(position, key, stream, seen[n], name, schema, now, TENANT, "bench", "", "", "", payload)


async def filled(path: Path, events: int) -> SqliteEventStore:
    store = await SqliteEventStore.open(path, SystemClock())
    for batch in batches(log_of(events, VERSIONS[0], AT_ONCE), 5000):
        await store.restore(batch)
    return store


def batches(log: Iterator[StoredEvent], size: int) -> Iterator[list[StoredEvent]]:
    while batch := list(islice(log, size)):
        yield batch


def finished(events: int) -> Iterator[dict[str, Any]]:
    """The rows that a projection of this log ends with, without epochs."""
    ends = [FOREVER] * events
    last_at: dict[str, int] = {}
    log = list(log_of(events, VERSIONS[0], AT_ONCE))
    for n, stored in enumerate(log):
        if stored.stream in last_at:
            ends[last_at[stored.stream]] = stored.position
        last_at[stored.stream] = n
    for stored, until in zip(log, ends, strict=True):
        happened = TYPES.decode(stored.type, stored.schema, stored.payload)
        put = rows(evolve(Gauge(), happened), stored)[0]
        assert isinstance(put, Put)
        own = {"epoch": 0, "tenant": TENANT, **put.key, **put.values, "body": put.body}
        yield {**own, "valid_from": stored.position, "valid_until": until}


async def bare_inserts_s(engine: AsyncEngine, events: int) -> float:
    """Seconds to insert the finished rows: by sqlite3 alone, on a server by the driver that the projection has too."""
    todo = list(finished(events))
    async with engine.begin() as connection:
        await connection.run_sync(TABLES.drop_all)
        await connection.run_sync(TABLES.create_all)
    if engine.dialect.name != "sqlite":
        began = time.perf_counter()
        for first in range(0, len(todo), BATCH):
            async with engine.begin() as connection:
                await connection.execute(GAUGES.table.insert(), todo[first : first + BATCH])
        return time.perf_counter() - began
    columns = list(todo[0])
    db = sqlite3.connect(str(engine.url.database), isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    insert = f"INSERT INTO gauges ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"
    values = [tuple(row.values()) for row in todo]
    began = time.perf_counter()
    for first in range(0, len(values), BATCH):
        db.execute("BEGIN")
        db.executemany(insert, values[first : first + BATCH])
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.close()
    return took


def memory_mb() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def rebuilt_s(projector: Projector, events: int) -> tuple[float, list[float]]:
    """Seconds of a rebuild, and the memory held at each fifth of it."""
    held: list[float] = []

    async def watch() -> None:
        for part in range(1, 6):
            while projector.position < events * part // 5:
                await asyncio.sleep(0.02)
            held.append(memory_mb())

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        await projector.rebuild()
        took = time.perf_counter() - began
    return took, held


async def rebuilds(engine: AsyncEngine, store: SqliteEventStore, args: argparse.Namespace) -> None:
    took, bare, memory = [], [], []
    projector = projector_of(store, engine)
    await projector.start()
    for _ in range(args.rounds):
        elapsed_s, memory = await rebuilt_s(projector, args.events)
        took.append(elapsed_s)
        bare.append(await bare_inserts_s(engine, args.events))
    mine, limit = median(took), median(bare)
    table = [
        ["rebuild: read, fold, write as of each event", f"{mine:.2f}", per_s(args.events / mine), ratio(limit, mine)],
        ["bare inserts of the finished rows", f"{limit:.2f}", per_s(args.events / limit), "1.00 x"],
    ]
    print_table(f"A read model of {args.events:,} events", ["", "seconds", "events/s", "of bare"], table)
    print("  memory at each fifth of the rebuild, MB: " + ", ".join(f"{m:.0f}" for m in memory))


async def questions(engine: AsyncEngine, store: SqliteEventStore, args: argparse.Namespace, versions: int) -> None:
    projector = projector_of(store, engine)
    await projector.start()
    await written(engine, projector, args.events, versions)
    queries = Queries(store, engine, projector)
    now, middle = ReadOptions(), ReadOptions(as_of=str(args.events // 2))
    last = GAUGES.table.c.last
    keys = [f"gauge-{n:07}" for n in random.Random(1).choices(range(args.events // versions), k=args.questions)]
    asked: list[tuple[str, Callable[[str, ReadOptions], Awaitable[object]]]] = [
        ("one row", lambda key, read: queries.one(GAUGES, Experiment, read, TENANT, name=key)),
        (f"a page of {PAGE} by key", lambda _, read: queries.page(GAUGES, Experiment, read, TENANT, Page(size=PAGE))),
        (
            f"a page of {PAGE} by a column",
            lambda _, read: queries.page(GAUGES, Experiment, read, TENANT, Page(size=PAGE), order_by=[last.desc()]),
        ),
    ]
    table = []
    for name, ask in asked:
        times: dict[str, list[float]] = {"now": [], "middle": []}
        for key in keys:
            for which, read in (("now", now), ("middle", middle)):
                began = time.perf_counter()
                await ask(key, read)
                times[which].append(time.perf_counter() - began)
        current, past = median(times["now"]) * 1e3, median(times["middle"]) * 1e3
        table.append([name, f"{current:.2f}", f"{past:.2f}", ratio(past, current)])
    kept = f"{args.events:,} versions, {versions} of each row"
    async with engine.connect() as connection:
        count = (await connection.execute(select(func.count()).select_from(GAUGES.table))).scalar_one()
    print_table(f"Questions, {kept} ({count:,} rows), ms", ["", "now", "as of the middle", "to now"], table)


async def written(engine: AsyncEngine, projector: Projector, events: int, versions: int) -> None:
    """Fill the tables without a log: gauges that all change until the end."""
    async with engine.begin() as connection:
        await connection.run_sync(TABLES.drop_all)
        await connection.run_sync(TABLES.create_all)
    for batch in batches(log_of(events, versions), BATCH):
        dated = []
        for stored in batch:
            happened = TYPES.decode(stored.type, stored.schema, stored.payload)
            dated.append(Dated(rows(evolve(Gauge(), happened), stored)[0], TENANT, stored.position))
        async with engine.begin() as connection:
            await write(connection, dated)
            known = await load_progress(connection, projector.name)
            assert known is not None
            await save_progress(connection, projector.name, known[0], batch[-1].position)
    await projector.start()


def projector_of(store: SqliteEventStore, engine: AsyncEngine) -> Projector:
    return Projector("bench", store, engine, TABLES, [EntityProjection(store, GAUGE, TYPES, rows)])


async def main(args: argparse.Namespace) -> None:
    print(f"Read tables: median of {args.rounds} rounds; {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-read-tables-") as name:
        folder = Path(name)
        engine = open_database(args.url or f"sqlite+aiosqlite:///{folder / 'tables.db'}", "bench")
        store = await filled(folder / "events.db", args.events)
        await rebuilds(engine, store, args)
        for versions in VERSIONS:
            await questions(engine, store, args, versions)
        await store.close()
        await engine.dispose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--url", default="", help="a database on a server, whose tables of `bench` are made anew")
    uvloop.run(main(parser.parse_args()))
