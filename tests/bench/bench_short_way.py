"""What a prediction costs beside its computing: the edge's frames, the short way and the prediction log's journal.

    python tests/bench/bench_short_way.py [rounds]

All of it in one process without sockets: calls come as bytes into connections of the edge, some to a turn of the event
loop, and a model that takes no time answers them. Printed is the CPU time of the loop's thread a call, least and median
of the rounds: least is what a quiet machine takes. `make compiled` before, or MODELOG_COMPILED=0.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from figures import machine, print_table
from modelog_common import compiled
from modelog_common.domain.clock import SystemClock
from modelog_common.edge import frames
from modelog_common.edge.blocks import written
from modelog_common.edge.connection import Connection
from modelog_common.edge.server import EdgeServer
from modelog_common.security.tokens import Identity, TokenSigner, TokenVerifier
from modelog_common.telemetry import logs
from modelog_proto.inference import grpc_predict_v2_pb2 as pb
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.split import POINTS, Segment
from modelog_serving.deployment.state import Deployment, Variant
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.runtime import Matrix, Quick
from modelog_serving.oip.fast import METHOD, FastInfer
from modelog_serving.oip.fast_batch import Parts
from modelog_serving.oip.fast_turn import Turn
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route

FEATURES = 20
# Rows of a request, requests of a connection in a turn, connections, and turns of a round.
LOADS = ((1, 1, 1, 400), (1, 8, 2, 200), (1, 32, 8, 15), (32, 8, 2, 60))
ROUNDS = 20
DIGEST = "d" * 64
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, FEATURES)),), (TensorSpec("y", "FP32", (-1,)),))
DEPLOYMENT = Deployment(
    id="d", name="flights", model="delay", signature=SIGNATURE, segments=(Segment(0, POINTS, "1.0.0"),)
)
ROUTE = Route("acme", DEPLOYMENT, {"1.0.0": Variant("1.0.0", 100.0, DIGEST, "xgboost")})


class First(Quick):
    """Answers with the first feature."""

    rows_per_ms = 10_000

    def predict(self, rows: Matrix) -> Matrix:
        return np.ascontiguousarray(rows[:, :1])


class Found:
    """Stands for the routes and for the models: there is one of each."""

    def __init__(self, one: Any) -> None:
        self._one = one

    def find(self, tenant: str, deployment: str) -> Any:
        return self._one

    def loaded(self, ref: Any) -> Any:
        return self._one


class Socket:
    """Takes what is written, and counts it."""

    def __init__(self) -> None:
        self.bytes = 0

    def get_extra_info(self, name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.bytes += len(data)

    def is_closing(self) -> bool:
        return False


@dataclass
class Client:
    """A connection, and the number of its next stream."""

    connection: Connection
    socket: Socket = field(default_factory=Socket)
    next: int = 1

    def __post_init__(self) -> None:
        self.connection.connection_made(self.socket)  # type: ignore[arg-type]
        windows = frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 30}) + frames.window_update(0, (1 << 31) - 70_000)
        self.connection.data_received(frames.PREFACE + windows)

    def requests(self, headers: bytes, message: bytes, count: int) -> bytes:
        """What a client would send for so many calls."""
        first, self.next = self.next, self.next + 2 * count
        return b"".join(
            frames.headers(number, headers, 0, frames.DEFAULT_FRAME_BYTES)
            + frames.frame(frames.DATA, frames.END_STREAM, number, message)
            for number in range(first, self.next, 2)
        )


def message_of(rows: int) -> bytes:
    """A request, as gRPC has it in DATA."""
    asked = pb.ModelInferRequest(model_name="flights")
    asked.inputs.add(name="x", datatype="FP32", shape=[rows, FEATURES])
    asked.raw_input_contents.append(np.random.default_rng(7).random((rows, FEATURES)).astype("<f4").tobytes())
    body = asked.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


async def run(rounds: int, folder: Path) -> None:
    clock, key = SystemClock(), Ed25519PrivateKey.generate()
    token = TokenSigner(key, clock).sign(Identity("alice", "acme", frozenset(["developer"])), timedelta(hours=1))
    headers = written([
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", f"/{METHOD}".encode()), (b":authority", b"bench"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"authorization", f"Bearer {token}".encode()),
    ])  # fmt: skip
    log = await PredictionLog.open(folder / "predictions.db", clock)
    parts = Parts(log, Counters(), Meter(clock, timedelta(minutes=1)), clock)
    verifier = TokenVerifier(key.public_key(), clock)
    turn = Turn(Found(ROUTE), Found(First()), Batcher(), verifier, parts, lambda _: True)  # type: ignore[arg-type]
    server = EdgeServer()
    service, name = METHOD.split("/")
    server.add_registered_method_handlers(service, {name: object()})
    server.add_direct(f"/{METHOD}", FastInfer(turn).take)
    print(f"compiled: {', '.join(compiled.in_use) or 'nothing'}; {machine()}")
    rows = []
    for load in LOADS:
        took_us = await measured(server, log, headers, load, rounds)
        of, at_once = load[0], load[1] * load[2]
        rows.append([f"{of} rows, {at_once} calls a turn", f"{min(took_us):.1f}", f"{statistics.median(took_us):.1f}"])
    print_table("CPU us a call", ["", "least", "median"], rows)
    await log.close()


async def measured(
    server: EdgeServer, log: PredictionLog, headers: bytes, load: tuple[int, int, int, int], rounds: int
) -> list[float]:
    """CPU microseconds a call, of each round."""
    rows, count, connections, turns = load
    message, clients = message_of(rows), [Client(server._connection()) for _ in range(connections)]
    took_us = []
    for _ in range(rounds):
        sent = [[(c.connection, c.requests(headers, message, count)) for c in clients] for _ in range(turns)]
        began_s = time.thread_time()
        for at_once in sent:
            for connection, data in at_once:
                connection.data_received(data)
            await asyncio.sleep(0)
        took_us.append((time.thread_time() - began_s) / (turns * count * connections) * 1e6)
        await log.flush()
    calls = rounds * turns * count * connections
    if log._journal.number == 0 or any(c.connection.streams for c in clients):
        raise SystemExit(f"of {calls} calls some were not answered")
    return took_us


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        logs.configure("bench", "info", nowhere)
        uvloop.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, Path(folder)))


if __name__ == "__main__":
    main()
