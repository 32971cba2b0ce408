"""Feeds bytes to a connection of our own edge without a socket, and holds what it does against what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import hpack
from edge_servicer import SERVICE, Servicer, add_to
from modelog_common.edge import frames
from modelog_common.edge.direct import DirectCall
from modelog_common.edge.limits import Limits
from modelog_common.edge.server import EdgeServer
from modelog_common.edge.status import Code, Status

LIMITS = Limits(streams=20, running=30, held_bytes=200_000, unsent_bytes=100_000)
METHODS = ("Echo", "Held", "Abort", "Broken", "Fill", "Count", "Join", "Slow", "Each", "Read", "None")
BEGIN = frames.PREFACE + frames.settings({})
ENDLESS = 1 << 60


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and after a while takes no more."""

    def __init__(self, protocol: Any, takes: int) -> None:
        super().__init__()
        self.protocol, self.takes = protocol, takes
        self.written, self.reading, self.closed = 0, True, False

    def write(self, data: Any) -> None:
        self.written += len(data)
        if self.written > self.takes and not self.closed:
            self.takes = ENDLESS
            self.protocol.pause_writing()

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default


def head(method: str, extra: Sequence[tuple[str, str]] = ()) -> bytes:
    """The header block of a call."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/{method}"), ("te", "trailers")]
    return hpack.Encoder().encode([*fields, ("content-type", "application/grpc"), *extra])


def _directly(call: DirectCall) -> bool:
    """Answers at once, later, or leaves it to the handler: each by what comes first in a request."""
    match call.request[:1]:
        case b"n":
            call.answer(call.request)
        case b"l":
            asyncio.get_running_loop().call_soon(call.answer, call.request)
        case b"h":
            asyncio.get_running_loop().call_soon(call.hand_over)
        case b"f":
            call.fail(Status(Code.INVALID_ARGUMENT, "as asked"))
        case _:
            return False
    return True


async def feed(stream: bytes, cuts: Sequence[int], takes: int) -> None:
    """Give the bytes in pieces of these sizes, in turn; the wire takes so many bytes of answers.

    Raises AssertionError when something was raised into the loop, a limit was passed, or a call was left behind.
    """
    raised: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    server = EdgeServer(limits=LIMITS)
    add_to(server, Servicer())
    server.add_direct(f"/{SERVICE}/Echo", _directly)
    connection = server._connection()
    wire = Wire(connection, takes)
    connection.connection_made(wire)
    at = turn = 0
    while at < len(stream) and not wire.closed:
        size = cuts[turn % len(cuts)]
        connection.data_received(stream[at : at + size])
        at, turn = at + size, turn + 1
        await asyncio.sleep(0)
        assert len(connection.streams) <= LIMITS.streams
        assert connection.held <= LIMITS.held_bytes + 20_000
        assert connection.outbox.queued_bytes <= LIMITS.unsent_bytes + 100_000
    connection.connection_lost(None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (len(connection.running), connection.streams, connection.held) == (0, {}, 0)
    assert connection.outbox.pending_bytes == 0
    assert raised == []
