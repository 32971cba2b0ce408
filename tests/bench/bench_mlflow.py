"""Tracking over MLflow's API: ours beside a real `mlflow server` in the same run; a load generator replays bytes.

Run: python bench_mlflow.py [--quick] [--alone] [--seconds S] [--rounds N] [--start | --file | --loads PART ...]
`--quick` is a look at whether it works; `--alone` leaves the peer out; `--start` measures starts only, `--file` the
large file only, `--loads` only loads whose names have one of these parts, such as "log_metric, 16". The peer is
installed, in an environment of its own, the first time. Requests are those of mlflow's client, made beforehand. What is
searched is logged through our API, and written into the peer's database. The whole takes about eight minutes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from figures import machine, median, per_s, print_table, ratio
from http_load import Load, load
from mlflow_servers import MB, METRICS, VERSIONS, Server, copied, files, now_ms, ours, peer
from modelog_common.compiled import in_use

# What is searched.
RUNS, MODELS = 10_000, 1000
QUICK_RUNS, QUICK_MODELS = 100, 20
STARTS = 3
FILLERS = 8
BATCHES = "log_batch of 1,000, 1 client"
SEARCHES_OF_RUNS = ("search, 100 of the runs, 1 client", "search, 1,000 of the runs, 1 client")
SEARCH_OF_MODELS = "search of models, 100 rows, 1 client"
NAMES = (
    BATCHES,
    "log_batch of 1,000, 8 clients",
    "log_batch of 1,000 metrics, 1 client",
    "log_batch of 1,000 metrics, 8 clients",
    "log_metric, 1 client",
    "log_metric, 16 clients",
    "create_run, 8 clients",
    *SEARCHES_OF_RUNS,
    SEARCH_OF_MODELS,
)


def batch(server: Server, run_id: str, kinds: int) -> bytes:
    """1,000 points of so many metrics."""
    started = now_ms()
    metrics = [{"key": f"m{n % kinds}", "value": n * 0.37, "timestamp": started + n, "step": n} for n in range(1000)]
    return server.request("/runs/log-batch", run_id=run_id, metrics=metrics, params=[], tags=[])


def fill(server: Server, runs: int, models: int) -> str:
    """An experiment of so many runs, of 20 metrics each, and models of five versions; returns the experiment's id."""
    experiment_id = str(server.post("/experiments/create", name="search")["experiment_id"])

    def log(n: int) -> None:
        run_id = server.run(experiment_id)
        metrics = [
            {"key": f"m{m}", "value": (n * 7919 + m) % runs / runs, "timestamp": now_ms(), "step": 0}
            for m in range(METRICS)
        ]
        params = [{"key": "fold", "value": str(n % 5)}]
        server.post("/runs/log-batch", run_id=run_id, metrics=metrics, params=params)

    def register(n: int) -> None:
        server.post("/registered-models/create", name=f"model-{n}")
        for _ in range(VERSIONS):
            server.post("/model-versions/create", name=f"model-{n}", source="here")

    with ThreadPoolExecutor(FILLERS) as pool:
        list(pool.map(log, range(runs)))
        list(pool.map(register, range(models)))
    return experiment_id


@dataclass(frozen=True)
class Asked:
    """What of the whole is measured, and how long: parts of the names of loads, none for all of them."""

    loads: Sequence[str]
    seconds: float
    rounds: int
    runs: int
    models: int

    def wants(self, name: str) -> bool:
        return not self.loads or any(part in name for part in self.loads)


@dataclass(frozen=True)
class Measured:
    """The median round of a load, and what each process of ours spent of CPU time in it: ms a request."""

    load: Load
    cpu_ms: tuple[float, ...]


def kinds(server: Server, searched: str) -> dict[str, tuple[list[bytes], int]]:
    """By the name of each load, its requests and connections."""
    experiment_id = str(server.post("/experiments/create", name="load")["experiment_id"])
    ids = [server.run(experiment_id) for _ in range(16)]
    metric = {"key": "loss", "value": 0.25, "timestamp": now_ms(), "step": 1}
    # A peer keeps a point once: a step for every request.
    singles = [server.request("/runs/log-metric", run_id=ids[n % 16], **metric | {"step": n}) for n in range(4096)]
    start = {"experiment_id": experiment_id, "start_time": now_ms(), "run_name": "x", "tags": []}
    batches = [batch(server, run_id, 10) for run_id in ids]
    wide = [batch(server, run_id, 1000) for run_id in ids]
    search = {
        "experiment_ids": [searched],
        "filter": "metrics.m3 > 0.5 AND params.fold = '3'",
        "order_by": ["metrics.m7 DESC"],
    }
    each = (
        (batches[:1], 1),
        (batches, 8),
        (wide[:1], 1),
        (wide, 8),
        (singles, 1),
        (singles, 16),
        ([server.request("/runs/create", **start)], 8),
        ([server.request("/runs/search", **search, max_results=100)], 1),
        ([server.request("/runs/search", **search, max_results=1000)], 1),
        ([server.get("/registered-models/search?max_results=100")], 1),
    )
    return dict(zip(NAMES, each, strict=True))


def measured(server: Server, searched: str, asked: Asked) -> dict[str, Measured]:
    """The loads by name."""
    found: dict[str, Measured] = {}
    for name, (requests, connections) in kinds(server, searched).items():
        if not asked.wants(name):
            continue
        rounds = []
        for _ in range(asked.rounds):
            before = server.cpus_s()
            # The peer answers some of many at once with an error: its database is locked.
            may_fail = server.name != "modelog"
            one = load(server.address, requests, connections, asked.seconds, may_fail=may_fail)
            spent = zip(server.cpus_s(), before, strict=True)
            rounds.append(Measured(one, tuple((now - then) * 1000 / one.count for now, then in spent)))
        found[name] = sorted(rounds, key=lambda one: one.load.per_s)[asked.rounds // 2]
        cpu = " ".join(f"{ms:.3f}" for ms in found[name].cpu_ms)
        print(f"{server.name}: {name}: {found[name].load.per_s:.1f}/s, CPU ms a request {cpu}", flush=True)
    return found


def loads(alone: bool, asked: Asked) -> None:
    """The loads that are asked for, of each server in turn."""
    found: dict[str, dict[str, Measured]] = {}
    runs = asked.runs if any(map(asked.wants, SEARCHES_OF_RUNS)) else 0
    models = asked.models if asked.wants(SEARCH_OF_MODELS) else 0
    for make in (ours,) if alone else (ours, peer):
        with tempfile.TemporaryDirectory(prefix="bench-mlflow-") as folder, make(Path(folder), runs, models) as server:
            found[server.name] = measured(server, server.searched or fill(server, runs, models), asked)
    rows = []
    for name, one in found["modelog"].items():
        gateway_ms, registry_ms = one.cpu_ms
        row = [name, per_s(one.load.per_s), f"{one.load.p50_ms:.2f}", f"{one.load.p99_ms:.2f}"]
        row += [f"{gateway_ms:.3f}", f"{registry_ms:.3f}"]
        if "mlflow" in found:
            its = found["mlflow"][name].load
            row += [f"{its.per_s:.1f}", f"{its.p50_ms:.2f}", str(its.failed), ratio(one.load.per_s, its.per_s)]
        rows.append(row)
    columns = ["", "requests/s", "p50 ms", "p99 ms", "gateway CPU ms", "registry CPU ms"]
    columns += ["mlflow's requests/s", "its p50 ms", "its failures", "to mlflow"] if "mlflow" in found else []
    print_table("Loads (median of the rounds)", columns, rows)
    if BATCHES in found["modelog"]:
        print(f"\n  metrics a second, one client: {per_s(found['modelog'][BATCHES].load.per_s * 1000)}")


def large_file(alone: bool, size_mb: int) -> None:
    """A large file up and down, of each server in turn, and beside them `cp` down to the disk."""
    moved: dict[str, tuple[float, float]] = {}
    copies = []
    for make in (ours,) if alone else (ours, peer):
        with tempfile.TemporaryDirectory(prefix="bench-mlflow-") as folder, make(Path(folder), 0, 0) as server:
            (Path(folder) / "large.bin").write_bytes(os.urandom(MB) * size_mb)
            before = server.cpus_s()
            moved[server.name] = files(server, Path(folder), size_mb)
            spent = " ".join(f"{now - then:.2f}" for now, then in zip(server.cpus_s(), before, strict=True))
            copies.append(copied(Path(folder), size_mb))
            up, down = moved[server.name]
            print(f"{server.name}: up {up:.0f}, down {down:.0f}, cp {copies[-1]:.0f} MB/s; CPU s {spent}", flush=True)
    limit = median(copies)
    rows = [[name, f"{up:.0f}", f"{down:.0f}", ratio(up, limit)] for name, (up, down) in moved.items()]
    rows.append(["cp and fsync (limit)", f"{limit:.0f}", "", ""])
    print_table(f"A file of {size_mb} MB", ["", "up MB/s", "down MB/s", "up to the limit"], rows)


def print_starts(rest: dict[str, tuple[float, ...]]) -> None:
    rows = [[name, *(f"{n:.1f}" for n in figures)] for name, figures in rest.items()]
    if "mlflow" in rest:
        rows.append(["mlflow to modelog", *(ratio(t, o) for o, t in zip(*rest.values(), strict=True))])
    columns = ["", "first answer after s", "CPU s", "resident MB", "MB, shared pages divided"]
    print_table("Start, and memory at rest", columns, rows)


def starts(alone: bool) -> None:
    """How long starts take and what is taken at rest: medians. The first start of each writes bytecode."""
    rest: dict[str, tuple[float, ...]] = {}
    for make in (ours,) if alone else (ours, peer):
        tries = []
        for _ in range(STARTS + 1):
            with tempfile.TemporaryDirectory(prefix="bench-mlflow-") as folder, make(Path(folder), 0, 0) as server:
                tries.append(server.at_rest())
                print(server.name, " ".join(f"{n:.1f}" for n in tries[-1]), flush=True)
        rest[server.name] = tuple(median(list(figures)) for figures in zip(*tries[1:], strict=True))
    print_starts(rest)


def main() -> None:
    # Who installs either has its bytecode; it is no part of a start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--seconds", type=float, help="that each round of a load takes; 1.5, or 0.5 with --quick")
    parser.add_argument("--rounds", type=int, help="of each load; 5, or 1 with --quick")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--start", action="store_true")
    only.add_argument("--file", action="store_true")
    only.add_argument("--loads", nargs="+", default=[], metavar="PART")
    given = parser.parse_args()
    seconds, rounds, *filled = (0.5, 1, QUICK_RUNS, QUICK_MODELS) if given.quick else (1.5, 5, RUNS, MODELS)
    asked = Asked(given.loads, given.seconds or seconds, given.rounds or rounds, *filled)
    if not any(map(asked.wants, NAMES)):
        parser.error(f"no load has one of {', '.join(given.loads)} in its name; the loads: {'; '.join(NAMES)}")
    print(f"Tracking over MLflow's API; {machine()}; compiled: {', '.join(in_use) or 'nothing'}")
    if not given.start and not given.file:
        loads(given.alone, asked)
    if not given.loads and not given.file and not given.quick:
        starts(given.alone)
    if not given.loads and not given.start:
        large_file(given.alone, 32 if given.quick else 1024)


if __name__ == "__main__":
    main()
