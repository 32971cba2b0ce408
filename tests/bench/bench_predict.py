"""Predictions a second and their 99th percentile over gRPC, beside an empty gRPC handler; rows a second by stream.

Every server and the client are processes of their own. The client is Python, so it is a part of every figure: trust the
ratios. The model has 200 trees of depth 6 on 20 features.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "serving"))

import grpc
import numpy as np
import xgboost
from modelog_common.bus.clients import new_producer
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import INFERENCE_REQUESTS
from modelog_platform.parts.broker import bootstrap_of, start_broker
from modelog_platform.parts.ports import free_port
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1.data_pb2 import RequestBatch
from serving_rig import Caller, Process, Rig, registry_of, signature, until

METHOD = "/inference.GRPCInferenceService/ModelInfer"
COLUMNS = [f"f{n}" for n in range(20)]
TREES, DEPTH = 200, 6
BATCH_ROWS = 1000


def trained() -> bytes:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(5000, len(COLUMNS))).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] + draw.normal(size=5000) > 0).astype(int)
    data = xgboost.DMatrix(features, labels, feature_names=COLUMNS)
    settings = {"objective": "binary:logistic", "max_depth": DEPTH, "nthread": 1, "seed": 0}
    return bytes(xgboost.train(settings, data, TREES).save_raw("ubj"))


def request(rows: int = 1) -> bytes:
    values = np.random.default_rng(1).normal(size=(rows, len(COLUMNS))).astype(np.float32)
    return oip.ModelInferRequest(
        model_name="flights",
        inputs=[{"name": "features", "datatype": "FP32", "shape": values.shape}],
        raw_input_contents=[values.tobytes()],
    ).SerializeToString()


async def load(address: str, token: str, clients: int, seconds: float, rows: int) -> None:
    """The client process: prints requests a second, and the 50th and 99th percentile in milliseconds."""
    took: list[float] = []
    payload, metadata = request(rows), (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        for _ in range(20):
            await call(payload, metadata=metadata)
        end = time.perf_counter() + seconds

        async def client() -> None:
            while (start := time.perf_counter()) < end:
                await call(payload, metadata=metadata)
                took.append(time.perf_counter() - start)

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        elapsed = time.perf_counter() - started
    half, last = np.percentile(took, [50, 99]) * 1000
    print(f"{len(took) / elapsed} {half} {last}")


async def empty(port: int) -> None:
    """The peer: a server whose handler does nothing."""
    answer = oip.ModelInferResponse(model_name="flights").SerializeToString()

    async def infer(_request: bytes, _context: object) -> bytes:
        return answer

    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def measured(address: str, token: str, clients: int, seconds: float, rows: int) -> list[float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--load", address, "--clients", str(clients), "--seconds", str(seconds),
        "--rows", str(rows), env={**os.environ, "TOKEN": token}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"the client ended with status {process.returncode}")
    return [float(figure) for figure in out.split()]


async def requests_table(rig: Rig, token: str, seconds: float) -> None:
    port = free_port()
    peer = await asyncio.create_subprocess_exec(sys.executable, __file__, "--empty", str(port))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    await channel.channel_ready()
    await channel.close()
    print(f"{'':34}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'of empty':>10}")
    try:
        for clients, rows in ((1, 1), (32, 1), (32, 32)):
            bare = await measured(f"127.0.0.1:{port}", token, clients, seconds, rows)
            ours = await measured(rig.oip, token, clients, seconds, rows)
            what = f"c={clients}, {rows} row{'s' * (rows > 1)}"
            for name, figures, ratio in ((f"empty handler, {what}", bare, 1.0), (f"ModelInfer, {what}", ours, 0.0)):
                share = ratio or ours[0] / bare[0]
                print(f"{name:34}{figures[0]:9.0f}{figures[1]:9.2f}{figures[2]:9.2f}{share:10.2f}")
    finally:
        peer.terminate()
        await peer.wait()


def stream_batches(batches: int) -> list[bytes]:
    values = np.random.default_rng(2).normal(size=(BATCH_ROWS, len(COLUMNS))).astype(np.float32).tobytes()
    return [
        RequestBatch(
            deployment="flights",
            producer="bench",
            sequence=sequence,
            prediction_ids=[f"{sequence:05}-{n:04}" for n in range(BATCH_ROWS)],
            event_times_us=range(BATCH_ROWS),
            feature_names=COLUMNS,
            features=values,
        ).SerializeToString()
        for sequence in range(1, batches + 1)
    ]


async def stream_figure(rig: Rig, alice: Caller, batches: int) -> None:
    await KafkaBroker(rig.kafka).open(INFERENCE_REQUESTS.of("acme"))
    payloads = stream_batches(batches)
    producer = new_producer(rig.kafka)
    started = time.perf_counter()
    with futures.ThreadPoolExecutor(1) as pool:

        def send() -> None:
            for payload in payloads:
                producer.produce(INFERENCE_REQUESTS.of("acme").name, payload)
                producer.poll(0)
            producer.flush(60)

        sent = asyncio.get_running_loop().run_in_executor(pool, send)

        async def done() -> bool:
            return await alice.reached("bench") >= batches

        await until(done, "the whole stream was answered", 120)
        elapsed = time.perf_counter() - started
        await sent
    rows = batches * BATCH_ROWS
    print(f"stream: {rows} rows in batches of {BATCH_ROWS}, answered and logged: {rows / elapsed:.0f} rows/s")


async def bench(seconds: float, batches: int) -> None:
    port = free_port()
    broker = start_broker(port)
    with tempfile.TemporaryDirectory() as folder:
        async with registry_of(Rig(Path(folder), kafka=bootstrap_of(port))) as rig:
            process = Process(rig)
            await process.start()
            try:
                alice = rig.caller()
                content = trained()
                version = await alice.version(content, signed=signature(COLUMNS))
                await alice.deploy(version)
                size = f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()[:12]}"
                print(f"XGBoost, {TREES} trees of depth {DEPTH}, {len(COLUMNS)} features ({size})")
                await requests_table(rig, alice.token, seconds)
                await stream_figure(rig, alice, batches)
            finally:
                process.terminate()
                broker.kill()
                broker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--load")
    parser.add_argument("--empty", type=int)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1)
    given = parser.parse_args()
    if given.load:
        asyncio.run(load(given.load, os.environ["TOKEN"], given.clients, given.seconds, given.rows))
    elif given.empty:
        asyncio.run(empty(given.empty))
    else:
        asyncio.run(bench(given.seconds, given.batches))


if __name__ == "__main__":
    main()
