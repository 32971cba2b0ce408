"""What an empty call costs our own gRPC edge beside grpcio, bare and with the pipeline: calls a CPU second of servers.

    python tests/bench/bench_edge.py [rounds] [calls a round of grpcio]

The load comes from h2load (apt: nghttp2-client), which is not what is measured: only the server's CPU seconds count,
so that a busy machine changes little. Each round asks both, one after the other; printed is the median ratio.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import psutil
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from modelog_common.domain.clock import SystemClock
from modelog_common.edge.server import EdgeServer
from modelog_common.rpc.edges import OPTIONS, server_on
from modelog_common.rpc.methods import Method
from modelog_common.rpc.pipeline import Pipeline
from modelog_common.security.tokens import Identity, TokenSigner, TokenVerifier
from modelog_common.telemetry import logs, traces
from modelog_proto.registry.v1 import model_pb2

SERVICE = "modelog.bench.Empty"
PATH = f"/{SERVICE}/Call"
CONNECTIONS, STREAMS = 4, 32
OURS_MORE = 8


async def empty(request: Any, context: Any) -> Any:
    return request


async def serve(edge: str, piped: bool, key: Ed25519PrivateKey) -> None:
    """Serve one empty method until the process is ended; the first line out is the port."""
    logs.configure("bench", "info")
    traces.configure("bench")
    parse = model_pb2.GetModelRequest.FromString if piped else None
    write = model_pb2.GetModelRequest.SerializeToString if piped else None
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(empty, parse, write)}
    pipeline = Pipeline(TokenVerifier(key.public_key(), SystemClock()), {PATH: Method(PATH, "model.read")}, 60)
    if piped:
        server: Any = server_on(edge, pipeline)  # type: ignore[arg-type]
    elif edge == "own":
        server = EdgeServer()
    else:
        server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)
    if hasattr(server, "listen"):
        port = await server.listen("127.0.0.1", 0)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    print(port, flush=True)
    await asyncio.Event().wait()


class Server:
    """A process that serves, and its CPU seconds."""

    def __init__(self, edge: str, piped: bool, key_file: Path) -> None:
        command = [sys.executable, __file__, "serve", edge, str(int(piped)), str(key_file)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def calls_per_cpu_second(self, calls: int, headers: list[str], body: Path) -> float:
        before = self.seconds()
        command = ["h2load", "-n", str(calls), "-c", str(CONNECTIONS), "-m", str(STREAMS), "-d", str(body)]
        for header in headers:
            command += ["-H", header]
        said = subprocess.run([*command, f"http://127.0.0.1:{self.port}{PATH}"], capture_output=True, text=True,
                              check=True).stdout  # fmt: skip
        if f"{calls} succeeded" not in said:
            sys.exit(f"not all calls were answered:\n{said}")
        return calls / (self.seconds() - before)

    def seconds(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def compare(piped: bool, rounds: int, calls: int, folder: Path) -> None:
    key = Ed25519PrivateKey.generate()
    key_file, body = folder / "key", folder / "body"
    key_file.write_bytes(key.private_bytes_raw())
    message = model_pb2.GetModelRequest(name="m").SerializeToString()
    body.write_bytes(len(message).to_bytes(5, "big") + message)
    token = TokenSigner(key, SystemClock()).sign(Identity("alice", "acme", frozenset({"admin"})), timedelta(hours=1))
    headers = ["content-type: application/grpc", "te: trailers"]
    if piped:
        headers += [f"authorization: Bearer {token}", "grpc-timeout: 30S"]
    servers = {edge: Server(edge, piped, key_file) for edge in ("own", "grpcio")}
    ratios, figures = [], dict[str, list[float]]()
    try:
        for _ in range(rounds):
            of = {
                edge: server.calls_per_cpu_second(calls * (OURS_MORE if edge == "own" else 1), headers, body)
                for edge, server in servers.items()
            }
            for edge, figure in of.items():
                figures.setdefault(edge, []).append(figure)
            ratios.append(of["own"] / of["grpcio"])
    finally:
        for server in servers.values():
            server.stop()
    own, grpcio = (statistics.median(figures[edge]) for edge in ("own", "grpcio"))
    what = "with the pipeline" if piped else "bare"
    print(f"{what}: own {own:,.0f}, grpcio {grpcio:,.0f} calls a CPU second, ratio {statistics.median(ratios):.1f}; "
          f"us a call: {1e6 / own:.1f}, {1e6 / grpcio:.1f}")  # fmt: skip


def main(rounds: int = 5, calls: int = 5_000) -> None:
    if shutil.which("h2load") is None:
        sys.exit("this bench needs h2load: apt-get install nghttp2-client")
    with tempfile.TemporaryDirectory() as folder:
        for piped in (False, True):
            compare(piped, rounds, calls, Path(folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        key = Ed25519PrivateKey.from_private_bytes(Path(sys.argv[4]).read_bytes())
        uvloop.run(serve(sys.argv[2], sys.argv[3] == "1", key))
    else:
        main(*map(int, sys.argv[1:]))
