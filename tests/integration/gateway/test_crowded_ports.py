"""A port has an end to its connections: who comes then is told so, and who leaves makes room."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from small_platform import BUILDERS, SmallPlatform

MOST = 10
WAIT_S = 150.0
# The gateway answers the first at once, and leaves the second to aiohttp; serving likewise with its two ways.
ASKED = {
    "gateway": (b"GET /api/2.0/mlflow/experiments/search?max_results=1", b"GET /healthz"),
    "serving": (b"GET /v2/health/live", b"HEAD /v2/health/live"),
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    names = ("registry", "serving", "gateway")
    folder: Path = tmp_path_factory.mktemp("platform")
    small = SmallPlatform(folder, {name: BUILDERS[name] for name in names}, connections=MOST)
    small.start()
    yield small
    small.stop()


class Client:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=WAIT_S)

    def ask(self, line: bytes, token: str) -> int:
        """The status of an answer; the rest of it is dropped."""
        self.socket.sendall(line + f" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        return int(self.socket.recv(1 << 16).split()[1])

    def end(self) -> bytes:
        """All that comes until the peer closes."""
        came = b""
        while piece := self.socket.recv(1 << 16):
            came += piece
        return came


@pytest.mark.parametrize("service", list(ASKED))
def test_who_comes_when_there_are_as_many_as_may_be_is_told_so(platform: SmallPlatform, service: str) -> None:
    endpoints = platform.endpoints[service]
    url = urlsplit(endpoints["http"])
    address = (url.hostname or "", url.port or 0)
    token = platform.token("alice", "admin")
    with ExitStack() as stack:
        clients = []
        for number in range(MOST):
            clients.append(Client(address))
            stack.callback(clients[-1].socket.close)
            assert clients[-1].ask(ASKED[service][number % 2], token) == 200
        crowded = Client(address)
        stack.callback(crowded.socket.close)
        head, body = crowded.end().split(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in head + b"\r\n"
        assert b"\r\nConnection: close\r\n" in head + b"\r\n"
        told = json.loads(body)
        assert "too many connections" in (told.get("detail") or told["error"])
        for place in (1, 0):
            # One of those that have gone the long way leaves, and one of the others.
            clients[place].socket.close()
            assert status_once_there_is_room(address, ASKED[service][0], token, stack) == 200


def status_once_there_is_room(address: tuple[str, int], line: bytes, token: str, stack: ExitStack) -> int:
    deadline = time.monotonic() + WAIT_S
    while True:
        client = Client(address)
        stack.callback(client.socket.close)
        try:
            status = client.ask(line, token)
        except ConnectionError:
            status = 503
        if status != 503 or time.monotonic() > deadline:
            return status
