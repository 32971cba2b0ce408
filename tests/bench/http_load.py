"""A cheap HTTP/1.1 load generator: bytes made beforehand, one request after the other on each connection.

Run: python http_load.py HOST PORT CONNECTIONS SECONDS < requests, which are pickled bytes; prints JSON. It is a process
of its own, and its part of a request is some 20 microseconds, so that the server is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What came of a load: successes a second, percentiles in milliseconds, answers that were no success, and all."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    count: int


def http_request(verb: str, path: str, token: str = "", body: bytes = b"") -> bytes:
    """The bytes of one request."""
    # MLflow's server answers to no other name.
    head = f"{verb} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, requests: Sequence[bytes], start: int, until: float) -> None:
        self._requests = cycle([*requests[start:], *requests[:start]])
        self._until = until
        self._answer = bytearray()
        self.took: list[float] = []
        self.failed = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"{transport} cannot be written to")
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(HEAD_END)
        if not end or not is_whole(bytes(head).lower(), body):
            return
        now = time.perf_counter()
        self.took.append(now - self._sent)
        self.failed += not head.startswith(b"HTTP/1.1 200")
        self._answer.clear()
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed += exc is not None
        self.done.set_result(None)


def is_whole(head: bytes, body: bytearray) -> bool:
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    _, _, rest = head.partition(b"content-length:")
    return len(body) >= int(rest.partition(b"\r\n")[0])


async def replay(host: str, port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    share = max(len(requests) // connections, 1)
    made = [
        await loop.create_connection(
            lambda n=n: Connection(requests, n * share % len(requests), began + seconds), host, port
        )
        for n in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    took = [s for _, connection in made for s in connection.took]
    half, last = np.percentile(took, [50, 99]) * 1000
    failed = sum(connection.failed for _, connection in made)
    return Load((len(took) - failed) / (time.perf_counter() - began), float(half), float(last), failed, len(took))


def load(
    address: tuple[str, int], requests: Sequence[bytes], connections: int, seconds: float, *, may_fail: bool = False
) -> Load:
    """From a process of its own; raises RuntimeError when answers were no success, which a peer's may be."""
    command = [sys.executable, __file__, address[0], str(address[1]), str(connections), str(seconds)]
    done = subprocess.run(command, input=pickle.dumps(list(requests)), capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    found = Load(**json.loads(done.stdout))
    if found.failed and not (may_fail and found.per_s):
        raise RuntimeError(f"{found.failed} answers were no success; the first request was {requests[0][:200]!r}")
    return found


if __name__ == "__main__":
    host, port, connections, seconds = sys.argv[1:]
    # Our own bytes, from the process that started this one.
    given = pickle.loads(sys.stdin.buffer.read())  # noqa: S301
    print(json.dumps(asyncio.run(replay(host, int(port), given, int(connections), float(seconds))).__dict__))
