"""Any bytes and any frames: nothing is raised into the loop, memory stays bounded, no call is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import hpack
from edge_servicer import SERVICE, Servicer, add_to
from hypothesis import example, given, settings
from hypothesis import strategies as st
from modelog_common.edge import frames
from modelog_common.edge.limits import Limits
from modelog_common.edge.server import EdgeServer
from raw_http2 import data

LIMITS = Limits(streams=20, running=30, held_bytes=200_000, unsent_bytes=100_000)
METHODS = ("Echo", "Held", "Abort", "Broken", "Fill", "Count", "Join", "Slow", "Each", "Read", "None")


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and after a while takes no more."""

    def __init__(self, protocol: Any, takes: int) -> None:
        super().__init__()
        self.protocol, self.takes = protocol, takes
        self.written, self.reading, self.closed = 0, True, False

    def write(self, data: Any) -> None:
        self.written += len(data)
        if self.written > self.takes and not self.closed:
            self.takes = 1 << 60
            self.protocol.pause_writing()

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default


def head(method: str, extra: list[tuple[str, str]]) -> bytes:
    fields = [(":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/{method}"), ("te", "trailers")]
    return hpack.Encoder().encode([*fields, ("content-type", "application/grpc"), *extra])


EXTRA = st.lists(
    st.sampled_from([
        ("grpc-timeout", "1n"), ("grpc-timeout", "x"), ("grpc-encoding", "gzip"), ("x-a-bin", "?"), (":path", "/"),
        ("content-length", "3"), ("connection", "close"), ("X", "y"),
    ]),
    max_size=2,
)  # fmt: skip
STREAMS = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 7, 9, 0x7FFFFFFF])
HEADS = st.builds(head, st.sampled_from(METHODS), EXTRA)
GOOD = st.one_of(
    st.builds(lambda s, block, flags: frames.frame(frames.HEADERS, flags, s, block), STREAMS, HEADS,
              st.sampled_from([4, 5, 0, 1])),
    st.builds(data, st.binary(max_size=50), STREAMS, st.sampled_from([0, 1])),
    st.builds(frames.window_update, STREAMS, st.sampled_from([0, 1, 70_000, frames.LARGEST_WINDOW])),
    st.builds(frames.rst_stream, STREAMS, st.integers(0, 20)),
    st.builds(lambda n, v: frames.settings({n: v}), st.integers(0, 8), st.sampled_from([0, 1, 20_000, 1 << 31])),
    st.just(frames.frame(frames.SETTINGS, frames.ACK, 0)),
    st.just(frames.frame(frames.PING, 0, 0, bytes(8))),
    st.just(frames.frame(frames.GOAWAY, 0, 0, bytes(8))),
)  # fmt: skip
ANY = st.builds(frames.frame, st.integers(0, 12), st.integers(0, 255), STREAMS, st.binary(max_size=40))
MUTATED = st.builds(
    lambda made, at, byte: made[: at % len(made)] + bytes((byte,)) + made[at % len(made) + 1 :],
    GOOD, st.integers(0, 200), st.integers(0, 255),
)  # fmt: skip
SEQUENCES = st.lists(st.one_of(GOOD, GOOD, GOOD, ANY, MUTATED, st.binary(max_size=30)), max_size=25)
CUTS = st.lists(st.integers(1, 60), min_size=1, max_size=8)
BEGIN = frames.PREFACE + frames.settings({})


async def run(begin: bytes, sent: Sequence[bytes], cuts: list[int], takes: int) -> None:
    raised: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    server = EdgeServer(limits=LIMITS)
    add_to(server, Servicer())
    connection = server._connection()
    wire = Wire(connection, takes)
    connection.connection_made(wire)
    stream = begin + b"".join(sent)
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


@settings(max_examples=400)
@given(SEQUENCES, CUTS, st.sampled_from([200, 100_000, 1 << 60]))
@example([frames.frame(frames.HEADERS, 5, 1, head("Echo", []))], [60], 1 << 60)
def test_any_frames(sent: list[bytes], cuts: list[int], takes: int) -> None:
    asyncio.run(run(BEGIN, sent, cuts, takes))


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=200), max_size=5), CUTS)
def test_any_bytes(sent: list[bytes], cuts: list[int]) -> None:
    asyncio.run(run(b"", sent, cuts, 1 << 60))
