"""What a gRPC edge answers to what no proper client sends: inherit `RawEdgeSuite` and give it the fixture `edge`."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest
from edge_servicer import Edge
from modelog_common.edge import frames
from modelog_common.edge.frames import Code
from raw_http2 import Raw, data

FATAL = [
    (frames.frame(frames.PING, 0, 0, b"short"), Code.FRAME_SIZE_ERROR),
    (frames.frame(frames.SETTINGS, 0, 0, b"odd"), Code.FRAME_SIZE_ERROR),
    (frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 31}), Code.FLOW_CONTROL_ERROR),
]
FATAL_NAMES = ["short ping", "odd settings", "window setting"]


class RawEdgeSuite:
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        raise NotImplementedError

    async def test_a_call(self, edge: Edge) -> None:
        async with Raw(edge) as raw:
            raw.send(raw.request(), data(b"abc"))
            assert (await raw.fields())[":status"] == "200"
            assert (await raw.until(frames.DATA)).payload == b"\0\0\0\0\3abc"
            assert (await raw.ended())["grpc-status"] == "0"

    async def test_byte_by_byte(self, edge: Edge) -> None:
        async with Raw(edge) as raw:
            for byte in raw.request() + data(b"abc"):
                raw.send(bytes((byte,)))
                await raw.writer.drain()
            assert (await raw.until(frames.DATA)).payload == b"\0\0\0\0\3abc"

    async def test_headers_in_continuations_and_with_a_priority(self, edge: Edge) -> None:
        async with Raw(edge) as raw:
            block = raw.request()[frames.HEAD_BYTES :]
            raw.send(frames.frame(frames.HEADERS, frames.PRIORITISED, 1, bytes(4) + b"\x10" + block[:9]))
            raw.send(frames.frame(frames.CONTINUATION, 0, 1, block[9:20]))
            raw.send(frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[20:]), data(b"abc"))
            assert (await raw.until(frames.DATA)).payload == b"\0\0\0\0\3abc"

    async def test_gzip_by_hand(self, edge: Edge) -> None:
        async with Raw(edge) as raw:
            squeezed = gzip.compress(b"abc")
            raw.send(raw.request(1, "Echo", ("grpc-encoding", "gzip")))
            message = b"\1" + len(squeezed).to_bytes(4, "big") + squeezed
            raw.send(frames.frame(frames.DATA, frames.END_STREAM, 1, message))
            assert (await raw.until(frames.DATA)).payload == b"\0\0\0\0\3abc"

    async def test_one_message_of_a_compressed_stream_is_not_compressed(self, edge: Edge) -> None:
        async with Raw(edge) as raw:
            raw.send(raw.request(1, "Mixed", ("grpc-accept-encoding", "gzip")), data(b"abc" * 1000))
            sent = b""
            while len(messages_of(sent)) < 3:
                sent += (await raw.until(frames.DATA)).payload
            assert [flag for flag, _ in messages_of(sent)] == [1, 0, 1]
            assert messages_of(sent)[1][1] == b"abc" * 1000

    async def test_windows_are_kept(self, edge: Edge) -> None:
        async with Raw(edge, settings={frames.INITIAL_WINDOW_SIZE: 3}) as raw:
            raw.send(raw.request(), data(b"abcdef"))
            assert (await raw.until(frames.DATA)).payload == b"\0\0\0"
            await raw.alive()
            raw.send(frames.window_update(1, 4))
            assert (await raw.until(frames.DATA)).payload == b"\0\6ab"
            raw.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 100}))
            await raw.until(frames.SETTINGS, frames.ACK)
            assert (await raw.until(frames.DATA)).payload == b"cdef"
            assert (await raw.ended())["grpc-status"] == "0"

    async def test_what_is_no_http2(self, edge: Edge) -> None:
        async with Raw(edge, polite=False) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            while await raw.reader.read(1000):
                pass
        async with Raw(edge) as other:
            await other.alive()

    @pytest.mark.parametrize("sent", [sent for sent, _ in FATAL], ids=FATAL_NAMES)
    async def test_bad_frames_end_the_connection(self, edge: Edge, sent: bytes) -> None:
        async with Raw(edge) as raw:
            raw.send(sent)
            while await raw.read() is not None:
                pass
        async with Raw(edge) as other:
            await other.alive()


def messages_of(sent: bytes) -> list[tuple[int, bytes]]:
    """The whole messages in DATA, each with its flag that says whether it is compressed."""
    found = []
    while len(sent) >= 5 and len(sent) >= (end := 5 + int.from_bytes(sent[1:5], "big")):
        found.append((sent[0], sent[5:end]))
        sent = sent[end:]
    return found
