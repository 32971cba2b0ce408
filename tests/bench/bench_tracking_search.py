"""Tracking: what logging points costs the registry, and how long a search takes over many runs.

Run `bench_tracking_search.py [RUNS ...]` (10000 100000 if none are named). A search filters by one metric, orders by
another and gives 100 rows; the limit is bare SQL over two plain tables of the latest values and the summaries. Logging
is in process, without gRPC: handler, store of curves, sealing and projection.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import uvloop
from figures import machine, print_table, ratio
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_common.read.database import open_database
from modelog_common.read.project import Projector
from modelog_common.read.queries import Queries
from modelog_common.read.tables import FOREVER
from modelog_common.stores.curves import Block, block_of, curve_of
from modelog_common.stores.curves.sqlite import SqliteCurveStore
from modelog_proto.registry.v1.experiment_pb2 import SearchRunsRequest
from modelog_registry.events import EVENTS
from modelog_registry.handle.acknowledged import Acknowledged
from modelog_registry.handle.metrics import Metrics
from modelog_registry.handle.sealing import Sealing
from modelog_registry.read.project import projections
from modelog_registry.read.runs.tracking import TrackingQueries
from modelog_registry.read.tables import TABLES
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import MetricsSealed, Point, RunStarted

TENANT, EXPERIMENT = "acme", "e-1"
METRICS, TAGS = 20, 3
ASKED, TOGETHER = 21, 500
BATCHES = 200


async def filled(store: SqliteEventStore, count: int) -> None:
    """So many runs of one experiment, with twenty metrics each."""
    dice, clock = random.Random(0), SystemClock()
    for first in range(0, count, TOGETHER):
        appends = []
        for _ in range(first, min(count, first + TOGETHER)):
            run_id, now = str(uuid7()), clock.now()
            tags = {f"t{n}": str(dice.randrange(10)) for n in range(TAGS)}
            parameters = {"depth": str(dice.randrange(10))}
            latest = tuple(Point(f"m{n}", dice.random(), 10, now) for n in range(METRICS))
            events = [
                RunStarted(run_id, TENANT, "bench", "run", "alice", parameters, (), None, tags, now, EXPERIMENT),
                MetricsSealed(run_id, 1, 1, METRICS, "d" * 64, latest, now),
            ]
            new = [NewEvent(str(uuid7()), *EVENTS.encode(e), TENANT, "alice") for e in events]
            appends.append(store.append(f"registry.run-{run_id}", new, expected=0))
        await asyncio.gather(*appends)


def plain_tables(tables: Path, plain: Path) -> sqlite3.Connection:
    """The same latest values and summaries without history: what a search costs in SQL at least."""
    db = sqlite3.connect(plain)
    db.execute("ATTACH ? AS built", (str(tables),))
    db.execute(f"CREATE TABLE runs AS SELECT run_id, body FROM built.runs WHERE valid_until = {FOREVER}")
    now = f"number IS NOT NULL AND valid_until = {FOREVER}"
    db.execute(f"CREATE TABLE latest AS SELECT run_id, field, number FROM built.run_values WHERE {now}")
    db.execute("CREATE UNIQUE INDEX runs_by_id ON runs (run_id)")
    db.execute("CREATE INDEX latest_by_value ON latest (field, number, run_id)")
    db.execute("CREATE INDEX latest_by_run ON latest (run_id, field, number)")
    db.commit()
    return db


PLAIN = """
SELECT body FROM latest o JOIN runs USING (run_id) WHERE o.field = ?
AND EXISTS (SELECT 1 FROM latest c WHERE c.run_id = o.run_id AND c.field = ? AND c.number > ?)
ORDER BY o.number DESC LIMIT 100
"""


async def searches(tracking: TrackingQueries, db: sqlite3.Connection, count: int) -> list[list[str]]:
    from modelog_registry.read.runs.values import METRIC, field_of

    rows = []
    for what, above in (("half of the runs meet it", 0.5), ("1 in 1,000 meets it", 0.999), ("none meets it", 2.0)):
        request = SearchRunsRequest(
            experiment_ids=[EXPERIMENT],
            conditions=[{"field": "FIELD_METRIC", "key": "m1", "comparison": "COMPARISON_GREATER", "number": above}],
            order_by=[{"field": "FIELD_METRIC", "key": "m2", "descending": True}],
        )
        places = (field_of(METRIC, "m2"), field_of(METRIC, "m1"), above)
        mine = await timed(lambda request=request: tracking.search_runs(request, TENANT))
        limit = await timed(lambda places=places: _plain(db, places))
        rows.append([f"{count:,} runs, {what}", f"{mine:.2f}", f"{limit:.2f}", ratio(mine, limit)])
    newest = SearchRunsRequest(experiment_ids=[EXPERIMENT])
    rows.append(
        [f"{count:,} runs, newest first", f"{await timed(lambda: tracking.search_runs(newest, TENANT)):.2f}", "", ""]
    )
    return rows


async def _plain(db: sqlite3.Connection, places: tuple[str, str, float]) -> object:
    return db.execute(PLAIN, places).fetchall()


async def timed(ask: Callable[[], Awaitable[object]]) -> float:
    """Median milliseconds."""
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - began)
    return median(took) * 1e3


async def logging(folder: Path) -> None:
    """CPU of this process for a batch of 1,000 points, and for one point, with everything that follows from it."""
    store = await SqliteEventStore.open(folder / "log.db")
    await filled(store, 8)
    runs: Entities = Entities(store, RUN, EVENTS)
    run_ids = [e.stream.removeprefix("registry.run-") async for e in store.read_all() if e.version == 1]
    curves = SqliteCurveStore(folder / "curves.db")
    sealing = Sealing(curves, runs, Acknowledged(), SystemClock())
    metrics = Metrics(curves, runs, sealing)
    engine = open_database(f"sqlite+aiosqlite:///{folder / 'logged.db'}")
    projector = Projector("bench", store, engine, TABLES, projections(store))
    await projector.start()
    work = [asyncio.create_task(sealing.run()), asyncio.create_task(projector.run())]
    rows = []
    ten = block_of([curve_of(f"m{n}", range(100), range(100), [0.5] * 100) for n in range(10)])
    distinct = block_of([curve_of(f"d{n}", [0], [0], [0.5]) for n in range(1000)])
    one = block_of([curve_of("loss", [0], [0], [0.5])])
    for what, asked, clients in (
        ("1,000 points of 10 metrics", ten, 1), ("1,000 points of 10 metrics", ten, 8),
        ("1,000 points of 1,000 metrics", distinct, 1), ("1 point", one, 1), ("1 point", one, 16),
    ):  # fmt: skip

        async def client(n: int, asked: Block = asked, clients: int = clients) -> None:
            for _ in range(BATCHES // clients):
                ctx = Context(SystemClock().now(), "alice", TENANT, str(uuid7()))
                await metrics.log(run_ids[n % 8], asked, ctx)

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(client(n) for n in range(clients)))
        answered = time.perf_counter() - began
        await sealing.close()
        await projector.catch_up()
        spent_ms = (time.process_time() - cpu) / BATCHES * 1e3
        rows.append([what, str(clients), f"{BATCHES / answered:,.0f}", f"{spent_ms:.2f}"])
    print_table("Logging", ["a request", "clients", "requests/s", "CPU ms each, all that follows too"], rows)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    await curves.close()
    await engine.dispose()
    await store.close()


async def main(counts: list[int]) -> None:
    print(f"Tracking: median of {ASKED} searches; {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-tracking-") as name:
        await logging(Path(name))
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="bench-tracking-") as name:
            folder = Path(name)
            store = await SqliteEventStore.open(folder / "events.db")
            await filled(store, count)
            engine = open_database(f"sqlite+aiosqlite:///{folder / 'tables.db'}")
            projector = Projector("bench", store, engine, TABLES, projections(store))
            await projector.start()
            began = time.perf_counter()
            await projector.catch_up()
            print(f"{count:,} runs projected in {time.perf_counter() - began:.1f} s")
            curves, runs = SqliteCurveStore(folder / "curves.db"), Entities(store, RUN, EVENTS)
            acknowledged = Acknowledged()
            sealing = Sealing(curves, runs, acknowledged, SystemClock())
            queries = Queries(store, engine, projector)
            tracking = TrackingQueries(queries, store, Metrics(curves, runs, sealing), sealing, acknowledged)
            db = plain_tables(folder / "tables.db", folder / "plain.db")
            rows = await searches(tracking, db, count)
            print_table("Search: a filter, an order, 100 rows", ["", "ms", "bare SQL ms", "to bare SQL"], rows)
            db.close()
            await curves.close()
            await engine.dispose()
            await store.close()


if __name__ == "__main__":
    uvloop.run(main([int(a) for a in sys.argv[1:]] or [10_000, 100_000]))
