"""What a small call costs our own gRPC client beside grpcio's, with all that `connect` puts around it: CPU us a call.

    python tests/bench/bench_grpc_client.py [rounds] [calls a round of grpcio]

Counted is the CPU of this process, threads included, and that of another one with our own edge, which it calls, with
nothing of the pipeline around its handler; each round asks both clients, one after the other, and printed is the least
of the rounds, so that a busy machine changes little.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from bench_edge import PATH, Server
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from modelog_common.rpc.client import connect
from modelog_common.telemetry import traces
from modelog_proto.registry.v1 import model_pb2

AT_ONCE = (1, 16, 64)
OURS_MORE = 5
# As long as a service's own token.
TOKEN = "x" * 400


async def cpu_us(call: Any, server: Server, calls: int, at_once: int) -> tuple[float, float]:
    """CPU microseconds a call of this process, and of the server's."""
    message = model_pb2.GetModelRequest(name="m")

    async def one_by_one() -> None:
        for _ in range(calls // at_once):
            await call(message)

    before, server_before = time.process_time(), server.seconds()
    await asyncio.gather(*(one_by_one() for _ in range(at_once)))
    made = calls // at_once * at_once
    return (time.process_time() - before) / made * 1e6, (server.seconds() - server_before) / made * 1e6


async def compare(server: Server, rounds: int, calls: int) -> None:
    traces.configure("bench")
    address = f"127.0.0.1:{server.port}"
    channels = {client: connect(address, TOKEN, client=client) for client in ("own", "grpcio")}
    stubs = {
        client: channel.unary_unary(
            PATH, model_pb2.GetModelRequest.SerializeToString, model_pb2.GetModelRequest.FromString
        )
        for client, channel in channels.items()
    }
    for at_once in AT_ONCE:
        least = dict.fromkeys(stubs, (float("inf"), float("inf")))
        for _ in range(rounds):
            for client, stub in stubs.items():
                more = OURS_MORE if client == "own" else 1
                found = await cpu_us(stub, server, calls * more, at_once)
                least[client] = (min(least[client][0], found[0]), min(least[client][1], found[1]))
        told = "; ".join(f"{client} {own:.1f} us, its server {peer:.1f} us" for client, (own, peer) in least.items())
        print(f"{at_once} at once, CPU a call: {told}", flush=True)
    for channel in channels.values():
        await channel.close()


def main(rounds: int = 8, calls: int = 1_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        key_file = Path(folder, "key")
        key_file.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
        server = Server("own", False, key_file)
        try:
            uvloop.run(compare(server, rounds, calls))
        finally:
            server.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
