"""Any bytes and any frames of a server: nothing is raised into the loop, and each call is told once how it ended."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import hpack
from fed_client import GREETING, feed
from fed_edge import ENDLESS, Wire
from hypothesis import example, given, settings
from hypothesis import strategies as st
from modelog_common.edge import frames
from modelog_common.grpc_client.call import Asked, Retries, UnaryCall
from modelog_common.grpc_client.connection import Connection
from modelog_common.grpc_client.link import Link
from wrong_server import FIRST, data

sys.path.append(str(Path(__file__).parents[2] / "fuzz"))

import inputs

FIELDS = (
    *FIRST, (":status", "103"), (":status", "404"), (":status", "x"), ("content-type", "text/html"),
    ("grpc-status", "0"), ("grpc-status", "14"), ("grpc-status", "x"), ("grpc-message", "%41%"), ("a-bin", "?"),
    ("grpc-encoding", "gzip"), ("grpc-encoding", "br"), (":path", "/"), ("x", "y" * 3000),
)  # fmt: skip
STREAMS = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 7, 0x7FFFFFFF])
BLOCKS = st.builds(
    lambda fields: hpack.Encoder().encode(fields), st.lists(st.sampled_from(FIELDS), min_size=1, max_size=6)
)
GOOD = st.one_of(
    st.builds(lambda s, block, flags: frames.frame(frames.HEADERS, flags, s, block), STREAMS, BLOCKS,
              st.sampled_from([4, 5, 0, 1])),
    st.builds(lambda s, block: frames.frame(frames.HEADERS, 4, s, hpack.Encoder().encode(FIRST)), STREAMS, BLOCKS),
    st.builds(lambda s, message, ended: data(s, message, ended=ended), STREAMS, st.binary(max_size=50), st.booleans()),
    st.builds(frames.window_update, STREAMS, st.sampled_from([0, 1, 70_000, frames.LARGEST_WINDOW])),
    st.builds(frames.rst_stream, STREAMS, st.integers(0, 20)),
    st.builds(lambda n, v: frames.settings({n: v}), st.integers(0, 8), st.sampled_from([0, 1, 20_000, 1 << 31])),
    st.just(frames.frame(frames.PING, 0, 0, bytes(8))),
    st.builds(frames.goaway, STREAMS, st.integers(0, 20)),
)  # fmt: skip
ANY = st.builds(frames.frame, st.integers(0, 12), st.integers(0, 255), STREAMS, st.binary(max_size=40))
SEQUENCES = st.lists(st.one_of(GOOD, GOOD, GOOD, ANY, st.binary(max_size=30)), max_size=25)
CUTS = st.lists(st.integers(1, 60), min_size=1, max_size=8)


async def test_an_answer_in_single_bytes() -> None:
    link = Link("127.0.0.1:1")
    connection = Connection(link, link.limits)
    connection.connection_made(Wire(connection, ENDLESS))
    link._connection = connection
    encoder = hpack.Encoder()
    first, last = (encoder.encode(fields) for fields in (FIRST, (("grpc-status", "0"),)))
    sent = GREETING + frames.frame(frames.HEADERS, 4, 1, first) + data(1, b"abc") + frames.frame(frames.HEADERS, 5, 1, last)  # fmt: skip # noqa: E501
    connection.data_received(sent[: len(GREETING)])
    call = UnaryCall(link, Asked(b"", bytes(5), None, Retries(1)), None)
    for at in range(len(GREETING), len(sent)):
        assert not call.done()
        connection.data_received(sent[at : at + 1])
    assert await call == b"abc"


@settings(max_examples=400, deadline=None)
@given(SEQUENCES, CUTS)
@example([frames.goaway(1, 0), data(3, b""), frames.rst_stream(1, 7)], [60])
def test_any_frames(sent: list[bytes], cuts: list[int]) -> None:
    asyncio.run(feed(b"".join(sent), cuts))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=500), CUTS)
def test_any_bytes(sent: bytes, cuts: list[int]) -> None:
    asyncio.run(feed(sent, cuts))


def test_the_corpus() -> None:
    """What coverage-guided fuzzing found worth keeping: see tests/fuzz/run.py."""
    for data_of_it in inputs.corpus_of("client"):
        asyncio.run(feed(*inputs.parsed(data_of_it)))
