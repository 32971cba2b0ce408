"""Worker processes that share a port beside one process: requests a second, CPU of a request, and the spread.

Run: python tests/bench/bench_workers.py [--workers N] [--seconds 4] [--clients 64]
One row a request over REST, from as many load generators as there are workers (bytes made beforehand, see
http_load.py). N is one less than there are cores, at least 2. Where there are fewer cores than workers and generators
need, requests a second tell nothing of how workers scale: then look at the CPU of a request, which must not rise, and
at each worker's part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "serving"))

import psutil
from bench_rest import COLUMNS, rows_of, trained
from figures import machine, per_s, print_table, ratio
from http_load import Load, http_request, load
from serving_rig import Process, Rig, registry_of, signature

CREW = "modelog_serving.crew"


@dataclass(frozen=True)
class Figure:
    """What a load came to: requests a second, CPU milliseconds of a request by process (0 is the one that decides)."""

    per_s: float
    p99_ms: float
    cpu_ms: dict[int, float]

    @property
    def whole_ms(self) -> float:
        return sum(self.cpu_ms.values())


def processes(pid: int) -> dict[int, psutil.Process]:
    """The process that decides, and its workers in the order in which they were started."""
    whole = psutil.Process(pid)
    workers = sorted((p for p in whole.children() if CREW in p.cmdline()), key=lambda p: p.pid)
    return dict(enumerate([whole, *workers]))


def cpu_s(of: dict[int, psutil.Process]) -> dict[int, float]:
    return {number: sum(process.cpu_times()[:2]) for number, process in of.items()}


def measured(process: Process, request: bytes, generators: int, clients: int, seconds: float) -> Figure:
    address = "127.0.0.1", int(process.rig.http.rsplit(":", 1)[1])
    of = processes(process.pid)
    load(address, [request], clients, seconds / 4)
    before = cpu_s(of)
    with ThreadPoolExecutor(generators) as threads:
        share = max(1, clients // generators)
        loads: list[Load] = list(threads.map(lambda _: load(address, [request], share, seconds), range(generators)))
    used = {number: s - before[number] for number, s in cpu_s(of).items()}
    count = sum(each.count for each in loads)
    cpu_ms = {number: s / count * 1000 for number, s in used.items()}
    return Figure(sum(each.per_s for each in loads), max(each.p99_ms for each in loads), cpu_ms)


async def figure(folder: Path, workers: int, generators: int, clients: int, seconds: float) -> Figure:
    async with registry_of(Rig(folder)) as rig:
        rig.environment["MODELOG_SERVING_WORKERS"] = str(workers)
        process = Process(rig)
        try:
            await process.start()
            alice = rig.caller()
            version = await alice.version(trained(), signed=signature(COLUMNS))
            await alice.deploy(version)
            body = {
                "inputs": [{"name": "features", "datatype": "FP32", "shape": [1, len(COLUMNS)], "data": rows_of(1)[0]}]
            }
            request = http_request("POST", "/v2/models/flights/infer", alice.token, json.dumps(body).encode())
            return await asyncio.to_thread(measured, process, request, generators, clients, seconds)
        finally:
            process.terminate()


async def bench(workers: int, clients: int, seconds: float) -> None:
    print(f"XGBoost, 200 trees of depth 6, one row a request, {clients} connections; {machine()}")
    found = {}
    for count in (1, workers):
        with tempfile.TemporaryDirectory() as made:
            found[count] = await figure(Path(made), count, workers, clients, seconds)
    one, many = found[1], found[workers]
    print_table(
        "answering processes",
        ("", "req/s", "p99 ms", "CPU ms a request", "of that, who decides"),
        [
            ("1, which decides too", per_s(one.per_s), f"{one.p99_ms:.1f}", f"{one.whole_ms:.3f}", ""),
            (f"{workers} workers", per_s(many.per_s), f"{many.p99_ms:.1f}", f"{many.whole_ms:.3f}",
             f"{many.cpu_ms[0]:.3f}"),
            ("beside 1", ratio(many.per_s, one.per_s), "", ratio(many.whole_ms, one.whole_ms), ""),
        ],
    )  # fmt: skip
    parts = [many.cpu_ms[number] for number in range(1, workers + 1)]
    print("  of the workers' CPU: " + ", ".join(f"worker {n} {p / sum(parts):.0%}" for n, p in enumerate(parts, 1)))
    if (os.cpu_count() or 1) < 2 * workers:
        print("  there are no cores for generators beside the workers: requests a second do not tell how workers scale")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=max(2, (os.cpu_count() or 1) - 1))
    parser.add_argument("--seconds", type=float, default=4, help="for each load")
    parser.add_argument("--clients", type=int, default=64)
    given = parser.parse_args()
    asyncio.run(bench(given.workers, given.clients, given.seconds))


if __name__ == "__main__":
    main()
