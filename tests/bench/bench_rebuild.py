"""Time to rebuild the registry's temporal tables from 50,000 events, and what a query as of the past costs.

Run: python tests/bench/bench_rebuild.py
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from figures import machine, median, per_s, print_table, ratio
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import NewEvent
from modelog_common.read.database import open_database
from modelog_common.read.project import Projector
from modelog_common.read.queries import Queries
from modelog_common.stores.curves.sqlite import SqliteCurveStore
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1.experiment_pb2 import SearchRunsRequest
from modelog_registry.events import EVENTS
from modelog_registry.handle.acknowledged import Acknowledged
from modelog_registry.handle.metrics import Metrics
from modelog_registry.handle.sealing import Sealing
from modelog_registry.read.project import projections
from modelog_registry.read.runs.tracking import TrackingQueries
from modelog_registry.read.tables import RUN_POINTS, RUN_VALUES, RUNS, TABLES
from modelog_registry.run.commands import EndRun, LogRun, Measured, RunCommand, StartRun
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import RunStatus
from modelog_registry.run.state import Run

RUNS_COUNT, LENGTH, TOGETHER = 1000, 50, 50
ROUNDS = 3
QUERIES = 500
BATCH = 500
EXPERIMENT, EXPERIMENT_ID = "delays", "e-1"
TENANT = "default"


async def filled(path: Path) -> tuple[SqliteEventStore, list[str]]:
    """A store with 50,000 events of 1,000 runs, fifty runs at a time; returns it with the runs' ids, oldest first."""
    store = await SqliteEventStore.open(path)
    run_ids = [str(uuid7()) for _ in range(RUNS_COUNT)]
    for first in range(0, RUNS_COUNT, TOGETHER):
        await asyncio.gather(*(told(store, run_id) for run_id in run_ids[first : first + TOGETHER]))
    return store, run_ids


async def told(store: SqliteEventStore, run_id: str) -> None:
    """One run's events, as its decider makes them, appended one by one."""
    run = Run()
    for n, command in enumerate(commands(run_id)):
        ctx = Context(SystemClock().now(), "alice", TENANT, f"{run_id}-{n}")
        for event in RUN.decide(run, command, ctx):
            run = RUN.evolve(run, event)
            name, schema, payload = EVENTS.encode(event)
            new = NewEvent(str(uuid7()), name, schema, payload, TENANT, "alice")
            await store.append(f"registry.run-{run_id}", [new], expected=n)


def commands(run_id: str) -> list[RunCommand]:
    """Begin, log two metrics at each of 48 steps, end."""
    logs = [
        LogRun(
            run_id, metrics=(Measured("auc", 0.7 + step / 1000, step), Measured("log_loss", 0.5 - step / 1000, step))
        )
        for step in range(LENGTH - 2)
    ]
    begin = StartRun(
        run_id,
        EXPERIMENT,
        parameters={"rounds": 200, "max_depth": 6, "seed": 0},
        tags={"team": "ops"},
        experiment_id=EXPERIMENT_ID,
    )
    return [begin, *logs, EndRun(run_id, RunStatus.COMPLETED)]


def bare_inserts_s(source: Path, target: Path) -> tuple[float, int]:
    """Seconds to insert the finished rows into empty tables of the same shape with sqlite3 alone, and their number."""
    target.unlink(missing_ok=True)
    names = [RUNS.name, RUN_POINTS.name, RUN_VALUES.name]
    with sqlite3.connect(source) as built:
        like = [f"sql IS NOT NULL AND tbl_name = '{name}'" for name in names]
        shapes = [
            s for (s,) in built.execute(f"SELECT sql FROM sqlite_master WHERE {' OR '.join(like)} ORDER BY type DESC")
        ]
        rows = {name: built.execute(f"SELECT * FROM {name} ORDER BY valid_from").fetchall() for name in names}
    built.close()
    db = sqlite3.connect(target, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    for shape in shapes:
        db.execute(shape)
    began = time.perf_counter()
    for name, found in rows.items():
        insert = f"INSERT INTO {name} VALUES ({','.join('?' * len(found[0]))})"
        for first in range(0, len(found), BATCH):
            db.execute("BEGIN")
            db.executemany(insert, found[first : first + BATCH])
            db.execute("COMMIT")
    elapsed_s = time.perf_counter() - began
    db.close()
    return elapsed_s, sum(map(len, rows.values()))


async def rebuilds(projector: Projector, folder: Path) -> None:
    events = RUNS_COUNT * LENGTH
    took, bare, count = [], [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await projector.rebuild()
        took.append(time.perf_counter() - began)
        elapsed_s, count = bare_inserts_s(folder / "tables.db", folder / "bare.db")
        bare.append(elapsed_s)
    mine, limit = median(took), median(bare)
    rows = [
        ["rebuild (read, fold, write as of each event)", f"{mine:.2f}", per_s(events / mine), ratio(mine, limit)],
        [f"insert the {count:,} finished rows, sqlite3 alone", f"{limit:.2f}", per_s(events / limit), "1.00 x"],
    ]
    print_table(f"Temporal tables of {events:,} events", ["", "seconds", "events/s", "time to limit"], rows)


async def queries(found: TrackingQueries, run_ids: list[str]) -> None:
    """The same questions about now and about the middle of the log, of runs that were there by then, in turn."""
    old = random.Random(0).choices(run_ids[: RUNS_COUNT // 3], k=QUERIES)
    now, middle = ReadOptions(), ReadOptions(as_of=str(RUNS_COUNT * LENGTH // 2))

    def newest(read: ReadOptions) -> SearchRunsRequest:
        return SearchRunsRequest(experiment_ids=[EXPERIMENT_ID], page=Page(size=100), read=read)

    questions: list[tuple[str, Callable[[str, ReadOptions], Awaitable[object]]]] = [
        ("one run", lambda run_id, read: found.run(run_id, read, TENANT)),
        ("a page of 100 runs of an experiment", lambda _, read: found.search_runs(newest(read), TENANT)),
    ]
    rows = []
    for name, ask in questions:
        times: dict[str, list[float]] = {"now": [], "middle": []}
        for run_id in old if name == "one run" else old[:50]:
            for which, read in (("now", now), ("middle", middle)):
                began = time.perf_counter()
                await ask(run_id, read)
                times[which].append(time.perf_counter() - began)
        current, past = median(times["now"]) * 1e3, median(times["middle"]) * 1e3
        rows.append([name, f"{current:.2f}", f"{past:.2f}", ratio(past, current)])
    print_table("Queries, median ms", ["", "now", "as of the middle", "past to now"], rows)


async def main() -> None:
    print(f"Rebuild: median of {ROUNDS} rounds; {machine()}")
    with tempfile.TemporaryDirectory(prefix="bench-rebuild-") as name:
        folder = Path(name)
        store, run_ids = await filled(folder / "events.db")
        engine = open_database(f"sqlite+aiosqlite:///{folder / 'tables.db'}")
        projector = Projector("bench", store, engine, TABLES, projections(store))
        await projector.start()
        await rebuilds(projector, folder)
        curves, runs = SqliteCurveStore(folder / "curves.db"), Entities(store, RUN, EVENTS)
        acknowledged = Acknowledged()
        sealing = Sealing(curves, runs, acknowledged, SystemClock())
        of_tables, metrics = Queries(store, engine, projector), Metrics(curves, runs, sealing)
        tracking = TrackingQueries(of_tables, store, metrics, sealing, acknowledged)
        await queries(tracking, run_ids)
        await curves.close()
        await engine.dispose()
        await store.close()


if __name__ == "__main__":
    uvloop.run(main())
