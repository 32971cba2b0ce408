"""Any bytes and any frames: nothing is raised into the loop, memory stays bounded, no call is left behind."""

from __future__ import annotations

import asyncio

from fed_edge import BEGIN, ENDLESS, METHODS, feed, head
from hypothesis import example, given, settings
from hypothesis import strategies as st
from modelog_common.edge import frames
from raw_http2 import data

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


@settings(max_examples=400)
@given(SEQUENCES, CUTS, st.sampled_from([200, 100_000, ENDLESS]))
@example([frames.frame(frames.HEADERS, 5, 1, head("Echo", []))], [60], ENDLESS)
def test_any_frames(sent: list[bytes], cuts: list[int], takes: int) -> None:
    asyncio.run(feed(BEGIN + b"".join(sent), cuts, takes))


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=200), max_size=5), CUTS)
def test_any_bytes(sent: list[bytes], cuts: list[int]) -> None:
    asyncio.run(feed(b"".join(sent), cuts, ENDLESS))
