"""Our own client passes the suite of clients, and bears more than grpcio's asks of it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import grpc
import pytest
from clients import own
from edge_suite import failure
from grpc_client_suite import MIB, PATH, Code, Connect, GrpcClientSuite, failed
from modelog_common.edge import frames
from modelog_common.edge.limits import Limits
from modelog_common.grpc_client.link import Patience
from wrong_server import FIRST, PATIENCE_S, Peer, data, prefixed, serving


class TestOwnClient(GrpcClientSuite):
    @pytest.fixture
    def connect(self) -> Connect:
        return own


async def test_a_deadline_that_has_passed() -> None:
    async with serving() as address, own(address) as channel:
        assert (await failure(channel.unary_unary(PATH)(b"", timeout=0))).code() is Code.DEADLINE_EXCEEDED


async def test_an_answer_that_ends_within_its_message() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.request()
        peer.send(peer.head(1, *FIRST), frames.frame(frames.DATA, 0, 1, prefixed(b"abc")[:-1]))
        peer.send(peer.head(1, ("grpc-status", "0"), ended=True))
        await peer.stay()

    assert (await failed(own, script)).code() is Code.INTERNAL


async def test_headers_in_pieces_with_padding_and_priority() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.request()
        block = peer.block(*FIRST, ("x-first", "1"))
        padded = b"\3" + bytes((0, 0, 0, 0, 15)) + block[:4] + bytes(3)
        flags = frames.PADDED | frames.PRIORITISED
        peer.send(frames.frame(frames.HEADERS, flags, 1, padded))
        peer.send(frames.frame(frames.CONTINUATION, 0, 1, block[4:6]))
        peer.send(frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[6:]))
        peer.send(frames.frame(frames.DATA, frames.PADDED, 1, b"\4" + prefixed(b"ok")[:3] + bytes(4)))
        peer.send(frames.frame(frames.DATA, 0, 1, b""), frames.frame(0x42, 0, 1, b"unknown"))
        peer.send(frames.frame(frames.DATA, 0, 1, prefixed(b"ok")[3:]))
        peer.send(peer.head(1, ("grpc-status", "0"), ended=True))
        await peer.stay()

    async with serving(script) as address, own(address) as channel:
        call = channel.unary_unary(PATH)(b"")
        assert await call == b"ok"
        assert (await call.initial_metadata())["x-first"] == "1"


# What does not follow the protocol of gRPC ends the call.


def in_frames(message: bytes) -> list[bytes]:
    return [frames.frame(frames.DATA, 0, 1, message[at : at + 16_000]) for at in range(0, len(message), 16_000)]


ANSWERS = {
    "no status": (Code.UNKNOWN, [FIRST, data(1, b"a", ended=True)]),
    "no status in the trailers": (Code.UNKNOWN, [FIRST, data(1, b"a"), (("x-a", "b"),)]),
    "no message": (Code.UNIMPLEMENTED, [FIRST, (("grpc-status", "0"),)]),
    "two messages": (Code.UNIMPLEMENTED, [FIRST, data(1, b"a"), data(1, b"b")]),
    "two messages in one frame": (
        Code.UNIMPLEMENTED, [FIRST, frames.frame(frames.DATA, 0, 1, prefixed(b"a") + prefixed(b"b"))]
    ),
    "an unknown flag": (Code.INTERNAL, [FIRST, data(1, b"a", flag=2)]),
    "compressed without an encoding": (Code.INTERNAL, [FIRST, data(1, gzip.compress(b"a"), flag=1)]),
    "not gzip": (Code.INTERNAL, [(*FIRST, ("grpc-encoding", "gzip")), data(1, b"a", flag=1)]),
    "an unknown encoding": (Code.INTERNAL, [(*FIRST, ("grpc-encoding", "snappy"))]),
    "a bomb": (
        Code.RESOURCE_EXHAUSTED,
        [(*FIRST, ("grpc-encoding", "gzip")), *in_frames(prefixed(gzip.compress(bytes(33 * MIB)), 1))],
    ),
    "not gRPC": (Code.UNKNOWN, [((":status", "200"), ("content-type", "text/html"))]),
    "no base64": (Code.INTERNAL, [(*FIRST, ("x-bin", "!"))]),
    "too large headers": (Code.RESOURCE_EXHAUSTED, [(*FIRST, *((f"x-{n}", "a" * 1000) for n in range(18)))]),
    "data first": (Code.INTERNAL, [data(1, b"a")]),
    "no :status": (Code.INTERNAL, [(("content-type", "application/grpc"),)]),
    "a :status that is none": (Code.INTERNAL, [((":status", "2000"),)]),
    "a pseudo-header of requests": (Code.INTERNAL, [(*FIRST, (":path", "/"))]),
    "headers twice": (Code.INTERNAL, [FIRST, FIRST]),
    "trailers that do not end": (Code.INTERNAL, [FIRST, data(1, b"a"), (("grpc-status", "0"), ("x", "more"))]),
    "a window of nothing more": (Code.INTERNAL, [frames.window_update(1, 0)]),
    "a reset of no error": (Code.INTERNAL, [frames.rst_stream(1, 0)]),
}  # fmt: skip


@pytest.mark.parametrize(("code", "parts"), ANSWERS.values(), ids=ANSWERS)
async def test_answers_that_are_none(code: grpc.StatusCode, parts: list[Any]) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.request()
        for part in parts:
            if isinstance(part, bytes):
                peer.send(part)
            else:
                names = {name for name, _ in part}
                ended = (names & {"grpc-status", "x-a"}) and "x" not in names
                peer.send(peer.head(1, *part, ended=bool(ended)))
        # The connection goes on.
        peer.answer((await peer.request()).stream, b"ok")
        await peer.stay()

    async with serving(script) as address, own(address) as channel:
        error = await failure(channel.unary_unary(PATH)(b"abc"))
        assert error.code() is code
        assert error.details()
        assert await channel.unary_unary(PATH)(b"") == b"ok"


async def test_an_early_answer_and_early_hints() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet({frames.INITIAL_WINDOW_SIZE: 10})
        asked = await peer.headers()
        peer.send(peer.head(1, (":status", "103"), ("link", "a")))
        peer.answer(asked.stream, b"enough")
        assert (await peer.until(frames.RST_STREAM)).payload == frames.LONG.pack(0)
        await peer.stay()

    async with serving(script) as address, own(address) as channel:
        assert await channel.unary_unary(PATH)(bytes(1000)) == b"enough"


async def test_binary_metadata_with_commas() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.request()
        peer.refuse(1, 5, ("x-bin", "AP8=, AQ"))
        await peer.stay()

    assert (await failed(own, script)).trailing_metadata().get_all("x-bin") == [b"\0\xff", b"\1"]


async def test_metadata_that_may_not_be_sent() -> None:
    async with serving() as address, own(address) as channel:
        for pair in (("Big", "a"), (":path", "/"), ("a b", "c"), ("x", "line\nbreak"), ("x", "naïve"), ("x", b"bytes")):
            with pytest.raises(ValueError, match="the metadata"):
                channel.unary_unary(PATH)(b"", metadata=(pair,))


async def test_long_metadata_arrives() -> None:
    values = ["a" * size for size in (126, 127, 128, 254, 255, 256, 5000)]

    async def script(peer: Peer) -> None:
        await peer.greet()
        fields = (await peer.request()).fields
        assert [fields[f"x-{number}"] for number in range(len(values))] == values
        peer.answer(1, b"ok")
        await peer.stay()

    async with serving(script) as address, own(address) as channel:
        given = tuple((f"x-{number}", value) for number, value in enumerate(values))
        assert await channel.unary_unary(PATH)(b"", metadata=given) == b"ok"


async def test_an_answer_that_cannot_be_parsed() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        peer.answer((await peer.request()).stream, b"\xff")
        await peer.stay()

    async with serving(script) as address, own(address) as channel:
        call = channel.unary_unary(PATH, None, lambda data: data.decode())
        assert (await failure(call(b""))).code() is Code.INTERNAL


# What does not follow HTTP/2 ends the connection.


FAULTS = {
    "a push": (1, frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(4))),
    "unreadable headers": (9, frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff")),
    "an interrupted header block": (1, frames.frame(frames.HEADERS, 0, 1, b"\x88") + data(1, b"")),
    "CONTINUATION of nothing": (1, frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\x88")),
    "endless headers": (
        11, frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.CONTINUATION, 0, 1) * 20
    ),
    "a frame that is too large": (6, frames.head(1 << 20, frames.DATA, 0, 1)),
    "a stream that was never opened": (1, data(3, b"")),
    "a stream of the server's": (1, frames.frame(frames.HEADERS, frames.END_HEADERS, 2, b"\x88")),
    "RST_STREAM of no stream": (1, frames.rst_stream(7, 0)),
    "WINDOW_UPDATE of no stream": (1, frames.window_update(7, 1)),
    "WINDOW_UPDATE by nothing": (1, frames.window_update(0, 0)),
    "a window that is too large": (3, frames.window_update(0, frames.LARGEST_WINDOW)),
    "a stream's window that is too large": (
        3, frames.window_update(1, 1 << 20) + frames.settings({frames.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW})
    ),
    "SETTINGS of a stream": (1, frames.frame(frames.SETTINGS, 0, 1)),
    "SETTINGS of a wrong size": (6, frames.frame(frames.SETTINGS, 0, 0, b"abc")),
    "ENABLE_PUSH": (1, frames.settings({frames.ENABLE_PUSH: 1})),
    "INITIAL_WINDOW_SIZE": (3, frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 31})),
    "MAX_FRAME_SIZE": (1, frames.settings({frames.MAX_FRAME_SIZE: 1})),
    "PING of a stream": (1, frames.frame(frames.PING, 0, 1, bytes(8))),
    "PING of a wrong size": (6, frames.frame(frames.PING, 0, 0, bytes(7))),
    "GOAWAY of a stream": (1, frames.frame(frames.GOAWAY, 0, 1, bytes(8))),
    "GOAWAY of a wrong size": (6, frames.frame(frames.GOAWAY, 0, 0, bytes(7))),
    "RST_STREAM of a wrong size": (6, frames.frame(frames.RST_STREAM, 0, 1, bytes(3))),
    "WINDOW_UPDATE of a wrong size": (6, frames.frame(frames.WINDOW_UPDATE, 0, 1, bytes(3))),
    "PRIORITY of a wrong size": (6, frames.frame(frames.PRIORITY, 0, 1, bytes(3))),
    "padding that is too long": (1, frames.frame(frames.DATA, frames.PADDED, 1, b"\7abc")),
}  # fmt: skip


@pytest.mark.parametrize(("code", "sent"), FAULTS.values(), ids=FAULTS)
async def test_servers_that_do_not_follow_http2(code: int, sent: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.request()
        peer.send(sent)
        assert int.from_bytes((await peer.until(frames.GOAWAY)).payload[4:8], "big") == code
        assert await peer.closed()

    error = await failed(own, script)
    assert error.code() is Code.UNAVAILABLE
    assert "does not follow the protocol" in error.details()


async def test_the_first_frame_is_settings() -> None:
    async def script(peer: Peer) -> None:
        peer.send(frames.frame(frames.PING, 0, 0, bytes(8)))
        assert await peer.closed()

    assert (await failed(own, script)).code() is Code.UNAVAILABLE


# Connections.


async def test_a_server_that_does_not_greet_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        assert await peer.closed()

    async with serving(script) as address, own(address, patience=Patience(greeting_s=0.2)) as channel:
        error = await failure(channel.unary_unary(PATH)(b""))
        assert error.code() is Code.UNAVAILABLE
        assert "did not greet within 0.2 s" in error.details()


async def test_a_name_that_there_is_not() -> None:
    async with own("none.invalid:1") as channel:
        assert (await failure(channel.unary_unary(PATH)(b""))).code() is Code.UNAVAILABLE


async def test_a_leaving_connection_is_closed_when_its_calls_have_ended() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.request()
        peer.send(frames.goaway(frames.LARGEST_STREAM, 0))
        peer.answer(1, b"ok")
        assert await peer.closed()

    async with serving(script) as address, own(address) as channel:
        assert await channel.unary_unary(PATH)(b"") == b"ok"


async def test_calls_that_a_leaving_server_took_end_there() -> None:
    second = asyncio.Event()

    async def leaves(peer: Peer) -> None:
        await peer.greet()
        await peer.request()
        peer.send(frames.goaway(1, 0))
        await second.wait()
        peer.answer(1, b"old")
        await peer.stay()

    async def next_one(peer: Peer) -> None:
        await peer.greet()
        peer.answer((await peer.request()).stream, b"new")
        second.set()
        await peer.stay()

    async with serving(leaves, next_one) as address, own(address) as channel:
        first = channel.unary_unary(PATH)(b"")
        while not second.is_set():
            # The client may not have heard of it yet: such a call is sent again.
            assert await channel.unary_unary(PATH)(b"") == b"new"
        assert await first == b"old"


async def test_a_lost_connection_is_made_anew() -> None:
    async def first(peer: Peer) -> None:
        await peer.greet()
        await peer.request()

    async def second(peer: Peer) -> None:
        await peer.greet()
        peer.answer((await peer.request()).stream, b"ok")
        await peer.stay()

    async with serving(first, second) as address, own(address) as channel:
        assert (await failure(channel.unary_unary(PATH)(b""))).code() is Code.UNAVAILABLE
        assert await channel.unary_unary(PATH)(b"") == b"ok"


async def test_a_call_that_nobody_takes_is_not_sent_for_ever() -> None:
    async def leaves(peer: Peer) -> None:
        await peer.greet()
        peer.send(frames.goaway((await peer.request()).stream - 1, 0))
        await peer.stay()

    async with serving(leaves, leaves) as address, own(address) as channel:
        assert (await failure(channel.unary_unary(PATH)(b""))).code() is Code.UNAVAILABLE


async def test_calls_wait_while_a_connection_is_made_and_a_cancelled_one_is_not_sent() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await go.wait()
        await peer.greet()
        for message in (b"1", b"3"):
            asked = await peer.request()
            assert asked.message == message
            peer.answer(asked.stream, message)
        await peer.stay()

    async with serving(script) as address, own(address) as channel:
        calls = [channel.unary_unary(PATH)(str(number).encode()) for number in (1, 2, 3)]
        assert channel.get_state() is grpc.ChannelConnectivity.CONNECTING
        assert calls[1].cancel()
        go.set()
        assert [await calls[0], await calls[2]] == [b"1", b"3"]


async def test_when_the_numbers_of_streams_are_used_up_a_new_connection_is_made() -> None:
    async def first(peer: Peer) -> None:
        await peer.greet()
        for _ in range(2):
            asked = await peer.request()
            peer.answer(asked.stream, str(asked.stream).encode())
        assert await peer.closed()

    async def second(peer: Peer) -> None:
        await peer.greet()
        peer.answer((await peer.request()).stream, b"new")
        await peer.stay()

    async with serving(first, second) as address, own(address) as channel:
        call = channel.unary_unary(PATH)
        assert await call(b"") == b"1"
        channel.link._connection.next = frames.LARGEST_STREAM
        assert await call(b"") == str(frames.LARGEST_STREAM).encode()
        assert await call(b"") == b"new"


async def test_a_silent_server_is_asked_for_a_sign_of_life() -> None:
    async def silent(peer: Peer) -> None:
        await peer.greet()
        await peer.until(frames.PING)
        assert await peer.closed()

    async def next_one(peer: Peer) -> None:
        await peer.greet()
        peer.answer((await peer.request()).stream, b"ok")
        await peer.stay()

    limits = Limits(sign_of_life_s=0.1)
    async with serving(silent, next_one) as address, own(address, limits=limits) as channel:
        lost = channel.unary_unary(PATH)(b"")
        await lost.wait_for_connection()
        assert (await failure(channel.unary_unary(PATH)(b"", timeout=0.3))).code() is Code.DEADLINE_EXCEEDED
        assert "no sign of life" in (await failure(lost)).details()
        assert await channel.unary_unary(PATH)(b"") == b"ok"


async def test_a_server_that_gives_a_sign_of_life_is_kept() -> None:
    go = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.greet()
        first = await peer.request()
        ping = await peer.until(frames.PING)
        peer.send(frames.frame(frames.PING, frames.ACK, 0, ping.payload))
        await go.wait()
        peer.answer(first.stream, b"late")
        await peer.stay()

    async with serving(slow) as address, own(address) as channel:
        slow_one = channel.unary_unary(PATH)(b"")
        await slow_one.wait_for_connection()
        assert (await failure(channel.unary_unary(PATH)(b"", timeout=0.3))).code() is Code.DEADLINE_EXCEEDED
        connection = channel.link._connection
        assert connection._doubt is not None
        async with asyncio.timeout(PATIENCE_S):
            while connection._doubt is not None:
                await asyncio.sleep(0)
        go.set()
        assert await slow_one == b"late"


async def test_closing_ends_calls_and_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet({frames.MAX_CONCURRENT_STREAMS: 1})
        await peer.request()
        assert await peer.closed()

    async with serving(script) as address:
        async with own(address) as channel:
            calls = [channel.unary_unary(PATH)(b"") for _ in range(2)]
            await calls[0].wait_for_connection()
        for call in calls:
            assert (await failure(call)).code() in (Code.UNAVAILABLE, Code.CANCELLED)
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN


async def test_closing_while_a_connection_is_made() -> None:
    came = asyncio.Event()

    async def script(peer: Peer) -> None:
        came.set()
        assert await peer.closed()

    async with serving(script) as address:
        async with own(address) as channel:
            call = channel.unary_unary(PATH)(b"")
            await came.wait()
        assert (await failure(call)).code() is Code.CANCELLED


async def test_a_peer_that_nobody_asks_is_left_alone() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with own(f"127.0.0.1:{port}", patience=Patience(first_pause_s=0.01, idle_s=0.0)) as channel:
        assert (await failure(channel.unary_unary(PATH)(b""))).code() is Code.UNAVAILABLE
        async with asyncio.timeout(PATIENCE_S):
            while channel.get_state() is not grpc.ChannelConnectivity.IDLE:
                await channel.link.changed()


async def test_a_server_that_takes_its_time_to_read() -> None:
    """The request waits in memory until the socket takes it."""
    message = bytes(range(256)) * (16 * MIB // 256)
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.greet({frames.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW})
        peer.send(frames.window_update(0, 1 << 30))
        await go.wait()
        asked = await peer.request()
        assert asked.message == message
        peer.answer(asked.stream, b"ok")
        await peer.stay()

    async with serving(script) as address, own(address) as channel:
        call = channel.unary_unary(PATH)(message)
        await call.wait_for_connection()
        async with asyncio.timeout(PATIENCE_S):
            while not channel.link._connection.outbox.paused:
                await asyncio.sleep(0)
        go.set()
        assert await call == b"ok"
