"""Feeds bytes to a connection of our own HTTP/1.1 without a socket, and holds what it does against what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fed_edge import Wire
from modelog_common.edge.http1 import Http1, HttpCall
from modelog_common.edge.http1_answer import Answer, Handle, Request
from modelog_common.edge.http1_whole import Whole

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


async def _nothing(request: Request) -> Answer:
    assert len(request.body) <= BODY_BYTES
    return Answer(b'{"error": "there is nothing"}', 404)


def _refused(status: int, text: str) -> Answer:
    return Answer(text.encode(), status)


async def _broken(_: Request) -> Answer:
    raise ValueError("broken")


HANDLERS: dict[tuple[str, str], Handle] = {
    ("GET", "/echo"): _echo, ("POST", "/echo"): _echo, ("GET", "/later"): _later, ("GET", "/broken"): _broken,
}  # fmt: skip


def _plain(verb: str, path: str) -> Handle | None:
    return HANDLERS.get((verb, path))


def _directly(call: HttpCall) -> bool:
    """Answers at once, later, or leaves it to the handler: each by what comes first in a request's body."""
    match call.request.body[:1]:
        case b"n":
            call.answer(Answer(call.request.body))
        case b"l":
            asyncio.get_running_loop().call_soon(call.answer, Answer(b"later"))
        case b"h":
            asyncio.get_running_loop().call_soon(call.hand_over)
        case b"o":
            call.hand_over()
        case _:
            return False
    return True


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
    other = Other()
    given = await _fed(Http1(_plain, lambda: other, BODY_BYTES, direct=_directly), stream, cuts, takes)
    if other.told:
        assert stream[:given].endswith(other.told)


async def feed_whole(stream: bytes, cuts: Sequence[int], takes: int) -> None:
    """The same of what answers every form of a request by itself.

    Raises AssertionError when something was raised into the loop, a handler was left behind, or one was given more than
    it may get.
    """
    whole = Whole(lambda verb, path: _plain(verb, path) or _nothing, _refused, BODY_BYTES)
    await _fed(Http1(_plain, whole.connection, BODY_BYTES, direct=_directly), stream, cuts, takes)
    await whole.stop(1.0)
    assert not whole.connections


async def _fed(http1: Http1, stream: bytes, cuts: Sequence[int], takes: int) -> int:
    """How many bytes were given before the connection was closed."""
    raised: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    wire = Handed(None, takes)
    wire.protocol = http1.connection()
    wire.protocol.connection_made(wire)
    at = turn = 0
    while at < len(stream) and not wire.closed:
        size = cuts[turn % len(cuts)]
        wire.protocol.data_received(stream[at : at + size])
        at, turn = min(at + size, len(stream)), turn + 1
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    wire.protocol.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)
    await http1.stop(1.0)
    assert not http1.connections
    assert raised == []
    return at
