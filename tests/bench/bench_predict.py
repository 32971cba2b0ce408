"""Predictions a second over gRPC beside MLServer's, from a native load generator; the log's cost; 10,000 open requests.

Needs h2load (nghttp2) and, for the peer, an environment of MLServer's own:
    uv venv DIR && uv pip install --python DIR mlserver mlserver-xgboost
Each server is a process on one core, the generator on the others. h2load knows nothing of grpc-status, so the bytes of
the answers are checked. CPU seconds of the server tell more than requests a second where other work runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "serving"))

import grpc
import numpy as np
import psutil
import xgboost
from figures import machine, per_s, print_table, ratio
from modelog_common.compiled import in_use
from modelog_platform.parts.ports import free_port
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from serving_rig import Process, Rig, registry_of, signature

METHOD = "/inference.GRPCInferenceService/ModelInfer"
COLUMNS = [f"f{n}" for n in range(20)]
TREES, DEPTH = 200, 6
SERVER_CORE = 0
# What is asked: rows a request, connections, streams on each.
LOADS = ((1, 1, 1), (1, 4, 8), (1, 8, 32), (32, 4, 8))
OPEN_CONNECTIONS, OPEN_STREAMS = 20, 500


@dataclass(frozen=True)
class Figures:
    """What one load came to."""

    per_s: float
    half_ms: float
    last_ms: float
    per_cpu_s: float


@dataclass(frozen=True)
class Server:
    """Where it listens, and whose CPU is counted."""

    address: str
    pid: int
    model: str
    token: str


def trained() -> xgboost.Booster:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(5000, len(COLUMNS))).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] + draw.normal(size=5000) > 0).astype(int)
    data = xgboost.DMatrix(features, labels, feature_names=COLUMNS)
    settings = {"objective": "binary:logistic", "max_depth": DEPTH, "nthread": 1, "seed": 0}
    return xgboost.train(settings, data, TREES)


def request(model: str, rows: int) -> bytes:
    """As gRPC sends it."""
    values = np.random.default_rng(1).normal(size=(rows, len(COLUMNS))).astype(np.float32)
    message = oip.ModelInferRequest(
        model_name=model,
        inputs=[{"name": "features", "datatype": "FP32", "shape": values.shape}],
        raw_input_contents=[values.tobytes()],
    ).SerializeToString()
    return b"\0" + len(message).to_bytes(4, "big") + message


def expected(booster: xgboost.Booster, rows: int) -> list[float]:
    values = np.random.default_rng(1).normal(size=(rows, len(COLUMNS))).astype(np.float32)
    return list(map(float, booster.inplace_predict(values, validate_features=False)))


async def checked(server: Server, booster: xgboost.Booster, rows: int) -> int:
    """Ask once, and compare the numbers; returns how many bytes of DATA an answer has."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = channel.unary_unary(METHOD)
        metadata = (("authorization", f"Bearer {server.token}"),) if server.token else ()
        data = await call(request(server.model, rows)[5:], metadata=metadata, timeout=60)
    answer = oip.ModelInferResponse.FromString(data)
    raw = answer.raw_output_contents
    found = np.frombuffer(raw[0], "<f4") if raw else np.array(answer.outputs[0].contents.fp32_contents)
    np.testing.assert_allclose(found, expected(booster, rows), rtol=1e-6, atol=1e-6)
    return len(data) + 5


async def load(server: Server, rows: int, connections: int, streams: int, seconds: int, folder: Path) -> str:
    """Run h2load; returns what it says, and leaves a line for each request in folder/requests."""
    body, lines = folder / "body", folder / "requests"
    body.write_bytes(request(server.model, rows))
    lines.unlink(missing_ok=True)
    others = set(range(os.cpu_count() or 1)) - {SERVER_CORE}
    command = [
        "taskset", "-c", ",".join(map(str, sorted(others) or [0])), "h2load", f"-c{connections}", f"-m{streams}",
        "-t1", "-D", str(seconds), "--warm-up-time", "1", f"--log-file={lines}", "-d", str(body),
        "-H", "content-type: application/grpc", "-H", "te: trailers", "-H", f"authorization: Bearer {server.token}",
        f"http://{server.address}{METHOD}",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"h2load ended with status {process.returncode}: {out.decode()}")
    return out.decode()


async def measured(
    server: Server, booster: xgboost.Booster, rows: int, connections: int, streams: int, seconds: int, folder: Path
) -> Figures:
    size = await checked(server, booster, rows)
    process = psutil.Process(server.pid)
    before = cpu_s(process)
    said = await load(server, rows, connections, streams, seconds, folder)
    used_s = cpu_s(process) - before
    done, failed, data = (int(found) for found in numbers(said))
    # The answers to requests of the second that h2load warms up are in the bytes.
    if failed or data % size or data < done * size:
        raise SystemExit(f"{done} requests, {failed} failed, {data} bytes of answers of {size} bytes: {said}")
    took_ms = np.array([int(line.split("\t")[2]) for line in (folder / "requests").open()]) / 1000
    half, last = np.percentile(took_ms, [50, 99])
    # The second that h2load warms up counts in the CPU's time, and not in its requests.
    return Figures(done / seconds, float(half), float(last), done / used_s * (seconds + 1) / seconds)


def numbers(said: str) -> tuple[str, str, str]:
    """Of h2load's words: requests that succeeded, those that did not, and bytes of DATA."""
    requests = re.search(r"(\d+) succeeded, (\d+) failed", said)
    data = re.search(r"\((\d+)\) data", said)
    if requests is None or data is None:
        raise SystemExit(f"h2load said: {said}")
    return requests[1], requests[2], data[1]


def cpu_s(process: psutil.Process) -> float:
    with_children = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in with_children)


@asynccontextmanager
async def on_one_core() -> AsyncIterator[None]:
    """What is started here stays on the server's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def ours(rig: Rig, booster: xgboost.Booster, command: Sequence[str] = ()) -> AsyncIterator[Server]:
    process = Process(rig, command) if command else Process(rig)
    async with on_one_core():
        await process.start()
    try:
        alice = rig.caller()
        name = f"flights-{process.pid}"
        version = await alice.version(bytes(booster.save_raw("ubj")), signed=signature(COLUMNS))
        await alice.deploy(version, name)
        yield Server(rig.oip, process.pid, name, alice.token)
    finally:
        process.terminate()


@asynccontextmanager
async def mlserver(environment: Path, booster: xgboost.Booster, folder: Path) -> AsyncIterator[Server]:
    """As it runs by default, but without workers beside it, which would be further processes."""
    home = folder / "mlserver"
    home.mkdir()
    booster.save_model(home / "model.ubj")
    port = free_port()
    settings = {"http_port": free_port(), "grpc_port": port, "metrics_port": free_port(), "parallel_workers": 0}
    (home / "settings.json").write_text(json.dumps({**settings, "debug": False, "host": "127.0.0.1"}))
    model = {"name": "flights", "implementation": "mlserver_xgboost.XGBoostModel", "parameters": {"uri": "./model.ubj"}}
    (home / "model-settings.json").write_text(json.dumps(model))
    async with on_one_core():
        process = await asyncio.create_subprocess_exec(
            environment / "bin" / "mlserver", "start", home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    try:
        address = f"127.0.0.1:{port}"
        async with grpc.aio.insecure_channel(address) as channel:
            ready = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")
            async with asyncio.timeout(120):
                asked = oip.ModelReadyRequest(name="flights").SerializeToString()
                while not oip.ModelReadyResponse.FromString(await ready(asked, wait_for_ready=True)).ready:
                    await asyncio.sleep(0.1)
        yield Server(address, process.pid, "flights", "")
    finally:
        process.terminate()
        await process.wait()


async def table(
    name: str,
    server: Server,
    booster: xgboost.Booster,
    seconds: int,
    folder: Path,
    loads: Sequence[tuple[int, int, int]] = LOADS,
) -> list[Figures]:
    found = [await measured(server, booster, *each, seconds, folder) for each in loads]
    print_table(
        name,
        ("", "req/s", "p50 ms", "p99 ms", "req/CPU s"),
        [
            (f"{rows} row{'s' * (rows > 1)}, c={connections * streams}", per_s(f.per_s), f"{f.half_ms:.2f}",
             f"{f.last_ms:.2f}", per_s(f.per_cpu_s))
            for (rows, connections, streams), f in zip(loads, found, strict=True)
        ],
    )  # fmt: skip
    print(f"  memory {psutil.Process(server.pid).memory_info().rss >> 20} MiB")
    return found


async def open_requests(server: Server, folder: Path) -> None:
    """Ten thousand requests open at once: each is answered or refused, and memory stays bounded."""
    process, most = psutil.Process(server.pid), 0
    running = asyncio.create_task(load(server, 1, OPEN_CONNECTIONS, OPEN_STREAMS, 3, folder))
    while not running.done():
        most = max(most, process.memory_info().rss)
        await asyncio.sleep(0.05)
    done, failed, data = numbers(await running)
    print(f"\n10,000 open requests: {done} answered, {failed} failed, {data} bytes, at most {most >> 20} MiB")


def compare(one: list[Figures], other: list[Figures]) -> None:
    rows = []
    for (count, connections, streams), ours_, theirs in zip(LOADS, one, other, strict=True):
        rows.append((
            f"{count} rows, c={connections * streams}", ratio(ours_.per_s, theirs.per_s),
            ratio(ours_.per_cpu_s, theirs.per_cpu_s), ratio(ours_.half_ms, theirs.half_ms),
            ratio(ours_.last_ms, theirs.last_ms),
        ))  # fmt: skip
    print_table("ours beside MLServer", ("", "req/s", "req/CPU s", "p50", "p99"), rows)


async def bench(seconds: int, environment: Path | None) -> None:
    booster = trained()
    compiled = ", ".join(in_use) or "nothing (see `make compiled`)"
    print(f"XGBoost, {TREES} trees of depth {DEPTH}, {len(COLUMNS)} features; compiled: {compiled}; {machine()}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        async with registry_of(Rig(folder)) as rig:
            async with ours(rig, booster) as server:
                logged = await table("Modelog", server, booster, seconds, folder)
                await open_requests(server, folder)
            async with ours(rig, booster, (sys.executable, __file__, "--unlogged")) as server:
                unlogged = await table("Modelog, without the prediction log", server, booster, seconds, folder)
            costs = [1 - a.per_cpu_s / b.per_cpu_s for a, b in zip(logged, unlogged, strict=True)]
            print("  the log's part of the CPU: " + ", ".join(f"{cost:.0%}" for cost in costs))
            if environment is None or not (environment / "bin" / "mlserver").exists():
                print("\nMLServer is not installed (see --mlserver): there is no peer")
                return
            async with mlserver(environment, booster, folder) as peer:
                compare(logged, await table("MLServer, gRPC", peer, booster, seconds, folder))


def unlogged() -> None:
    """The serving process as it is, but that what is to be logged is forgotten: what the log costs."""
    from modelog_common.service import main
    from modelog_serving.app import build
    from modelog_serving.predlog.log import PredictionLog

    PredictionLog.put = lambda _self, _answers, done: done(None)  # type: ignore[method-assign]
    main("serving", build)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="for each load")
    parser.add_argument("--mlserver", type=Path, help="the folder of MLServer's own environment")
    parser.add_argument("--unlogged", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.unlogged:
        unlogged()
    else:
        asyncio.run(bench(given.seconds, given.mlserver))


if __name__ == "__main__":
    main()
