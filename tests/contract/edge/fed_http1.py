"""Feeds bytes to a connection of our own HTTP/1.1 without a socket, and holds what it does against what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fed_edge import Wire
from modelog_common.edge.http1 import Answer, Handle, Http1, Request

BODY_BYTES = 10_000


class Other(asyncio.Protocol):
    """What the connection is handed over to: it keeps what it is told."""

    def __init__(self) -> None:
        self.told = b""

    def data_received(self, data: bytes) -> None:
        self.told += data


async def _echo(request: Request) -> Answer:
    return Answer(request.body[:100])


async def _later(request: Request) -> Answer:
    await asyncio.sleep(0)
    return Answer(request.path.encode())


async def _broken(_: Request) -> Answer:
    raise ValueError("broken")


HANDLERS: dict[tuple[str, str], Handle] = {
    ("GET", "/echo"): _echo, ("POST", "/echo"): _echo, ("GET", "/later"): _later, ("GET", "/broken"): _broken,
}  # fmt: skip


class Handed(Wire):
    """A transport whose connection may get another protocol."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol: Any = protocol

    def get_protocol(self) -> Any:
        return self.protocol


async def feed(stream: bytes, cuts: Sequence[int], takes: int) -> None:
    """Give the bytes in pieces of these sizes, in turn; the wire takes so many bytes of answers.

    Raises AssertionError when something was raised into the loop, a handler was left behind, or what was handed over
    is not how the bytes that were given end.
    """
    loop = asyncio.get_running_loop()
    raised: list[Any] = []
    loop.set_exception_handler(lambda _, context: raised.append(context))
    other = Other()
    http1 = Http1(lambda verb, path: HANDLERS.get((verb, path)), lambda: other, BODY_BYTES)
    wire = Handed(None, takes)
    wire.protocol = http1.connection()
    wire.protocol.connection_made(wire)
    at = turn = 0
    while at < len(stream) and not wire.closed:
        size = cuts[turn % len(cuts)]
        wire.protocol.data_received(stream[at : at + size])
        at, turn = min(at + size, len(stream)), turn + 1
        await asyncio.sleep(0)
    if other.told:
        assert stream[:at].endswith(other.told)
    for _ in range(5):
        await asyncio.sleep(0)
    wire.protocol.connection_lost(None)
    await http1.stop(1.0)
    assert not http1.connections
    assert raised == []
