"""Predictions a second over REST, 1 and 32 rows a request, beside MLServer, BentoML and `mlflow models serve`.

Run: python tests/bench/bench_rest.py [--install] [--seconds 3] [--clients 32]
All in one run, one after the other: each server on one core, the load (bytes made beforehand, see http_load.py) on
another. `--install` makes the peers' environments first; a peer without one is left out. The model has 200 trees of
depth 6 on 20 features. Ours has on what production has: tokens, validation, routing, the prediction log, traces.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "serving"))

import numpy as np
import psutil
import xgboost
from figures import machine, per_s, print_table, ratio
from http_load import Load, http_request, load
from rest_peers import REQUIREMENTS, install, oip_body, python_of, serving
from serving_rig import Process, Rig, registry_of, signature

COLUMNS = [f"f{n}" for n in range(20)]
TREES, DEPTH = 200, 6
SIZES = (1, 32)
INFER = "/v2/models/flights/infer"
HEADER = "Inference-Header-Content-Length"
OURS, BINARY = "modelog", "modelog, binary"


@dataclass(frozen=True)
class Figure:
    """What a load came to, and what it cost the server's processes a request."""

    load: Load
    cpu_ms: float


def trained() -> bytes:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(5000, len(COLUMNS))).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] + draw.normal(size=5000) > 0).astype(int)
    data = xgboost.DMatrix(features, labels, feature_names=COLUMNS)
    settings = {"objective": "binary:logistic", "max_depth": DEPTH, "nthread": 1, "seed": 0}
    return bytes(xgboost.train(settings, data, TREES).save_raw("ubj"))


def rows_of(count: int) -> list[list[float]]:
    values: list[list[float]] = np.random.default_rng(1).normal(size=(count, len(COLUMNS))).astype("f4").tolist()
    return values


def binary_request(rows: Sequence[Sequence[float]], token: str) -> bytes:
    """The rows in binary behind the JSON, and so the answer."""
    data = np.array(rows, "<f4").tobytes()
    tensor = {"name": "features", "shape": [len(rows), len(COLUMNS)], "datatype": "FP32"}
    head = {"inputs": [tensor | {"parameters": {"binary_data_size": len(data)}}]}
    text = json.dumps(head | {"parameters": {"binary_data_output": True}}).encode()
    request = http_request("POST", INFER, token, text + data)
    return request.replace(b"Content-Type", f"{HEADER}: {len(text)}\r\nContent-Type".encode(), 1)


def cpu_s(pid: int) -> float:
    whole = psutil.Process(pid)
    return sum(p.cpu_times().user + p.cpu_times().system for p in (whole, *whole.children(recursive=True)))


def measured(pid: int, port: int, request: bytes, clients: int, seconds: float) -> Figure:
    load(("127.0.0.1", port), [request], clients, seconds / 4)
    before = cpu_s(pid)
    found = load(("127.0.0.1", port), [request], clients, seconds)
    return Figure(found, (cpu_s(pid) - before) * 1000 / found.count)


@asynccontextmanager
async def ours(model: bytes, pinned: Sequence[str]) -> AsyncIterator[tuple[int, int, str]]:
    """A serving process with the model: its pid, its port, and a token."""
    with tempfile.TemporaryDirectory() as folder:
        async with registry_of(Rig(Path(folder))) as rig:
            process = Process(rig)
            await process.start()
            try:
                alice = rig.caller()
                await alice.deploy(await alice.version(model, signed=signature(COLUMNS)))
                running = process._process
                if running is None:
                    raise RuntimeError("the serving process is not running")
                if pinned:
                    pin = ["-a", "-c", "-p", pinned[-1], str(running.pid)]
                    done = await asyncio.create_subprocess_exec(pinned[0], *pin, stdout=asyncio.subprocess.DEVNULL)
                    await done.wait()
                yield running.pid, int(rig.http.rpartition(":")[2]), alice.token
            finally:
                process.terminate()


async def figures(model: bytes, clients: int, seconds: float, pinned: Sequence[str]) -> dict[str, dict[int, Figure]]:
    found: dict[str, dict[int, Figure]] = {OURS: {}, BINARY: {}}
    async with ours(model, pinned) as (pid, port, token):
        for size in SIZES:
            rows = rows_of(size)
            json_request = http_request("POST", INFER, token, json.dumps(oip_body(rows)).encode())
            for name, request in ((OURS, json_request), (BINARY, binary_request(rows, token))):
                found[name][size] = await asyncio.to_thread(measured, pid, port, request, clients, seconds)
    with tempfile.TemporaryDirectory() as folder:
        for name in REQUIREMENTS:
            if not python_of(name).exists():
                print(f"{name} is left out: it is not installed; --install makes its environment")
                continue
            with serving(name, model, Path(folder) / name, pinned) as peer:
                found[name] = {}
                for size in SIZES:
                    body = json.dumps(peer.body(rows_of(size), COLUMNS)).encode()
                    request = http_request("POST", peer.path, "", body)
                    found[name][size] = measured(peer.process.pid, peer.port, request, clients, seconds)
    return found


def show(found: dict[str, dict[int, Figure]], clients: int) -> None:
    for size in SIZES:
        of_ours = found[OURS][size]
        rows = [
            (
                name, per_s(one.load.per_s), f"{one.load.p50_ms:.2f}", f"{one.load.p99_ms:.2f}", f"{one.cpu_ms:.3f}",
                ratio(of_ours.load.per_s, one.load.per_s), ratio(one.cpu_ms, of_ours.cpu_ms),
            )
            for name, by_size in found.items()
            for one in [by_size[size]]
        ]  # fmt: skip
        columns = ("server", "req/s", "p50 ms", "p99 ms", "CPU ms", "ours, req/s", "ours, CPU")
        print_table(f"{size} row{'s' * (size > 1)} a request, {clients} connections", columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=32)
    given = parser.parse_args()
    for name in REQUIREMENTS if given.install else ():
        install(name)
    pinned: list[str] = []
    taskset = shutil.which("taskset")
    if taskset and (os.cpu_count() or 1) > 1:
        # What starts here stays off the servers' core.
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {0})
        pinned = [taskset, "-c", "0"]
    print(machine())
    show(asyncio.run(figures(trained(), given.clients, given.seconds, pinned)), given.clients)


if __name__ == "__main__":
    main()
