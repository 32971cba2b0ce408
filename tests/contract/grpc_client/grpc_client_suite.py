"""What every client of unary calls does with servers good and bad: inherit `GrpcClientSuite` and give it `connect`."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import grpc.aio
import pytest
from edge_suite import failure
from modelog_common.edge import frames
from modelog_common.edge.frames import END_STREAM
from wrong_server import FIRST, Peer, Script, data, prefixed, serving

MIB = 1 << 20
PATH = "/modelog.tests.Wrong/Call"
Code = grpc.StatusCode
Connect = Callable[..., AbstractAsyncContextManager[Any]]


async def failed(connect: Connect, script: Script, **options: Any) -> grpc.aio.AioRpcError:
    """How a call fails at a server with a script."""
    async with serving(script) as address, connect(address, **options) as channel:
        return await failure(channel.unary_unary(PATH)(b"abc"))


class GrpcClientSuite:
    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError

    async def test_what_a_request_says(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            asked = await peer.request()
            assert asked.message == b"abc"
            assert asked.stream == 1
            fields = asked.fields
            assert (fields[":method"], fields[":scheme"], fields[":path"]) == ("POST", "http", PATH)
            assert fields[":authority"] == address
            assert (fields["te"], fields["content-type"]) == ("trailers", "application/grpc")
            assert "gzip" in fields["grpc-accept-encoding"]
            assert fields["x-text"] == "a b"
            assert fields["x-blob-bin"] in ("AP8", "AP8=")
            assert fields["user-agent"].startswith("grpc-python")
            unit = {"m": 1e-3, "S": 1.0}[fields["grpc-timeout"][-1]]
            assert 100 < int(fields["grpc-timeout"][:-1]) * unit <= 151
            peer.answer(1, b"ok")
            assert "grpc-timeout" not in (await peer.request()).fields
            peer.answer(3, b"ok")

        async with serving(script) as address, connect(address) as channel:
            given = (("x-text", "a b"), ("x-blob-bin", b"\0\xff"))
            assert await channel.unary_unary(PATH)(b"abc", metadata=given, timeout=150) == b"ok"
            assert await channel.unary_unary(PATH)(b"") == b"ok"

    async def test_metadata_of_an_answer(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.send(peer.head(1, *FIRST, ("x-first", "1"), ("x-blob-bin", "AP8")), data(1, b"ok"))
            last = (("x-last-bin", "AP8="), ("x-last-bin", "AQ"))
            peer.send(peer.head(1, ("grpc-status", "0"), *last, ended=True))
            await peer.stay()

        async with serving(script) as address, connect(address) as channel:
            call = channel.unary_unary(PATH)(b"")
            assert await call == b"ok"
            assert (await call.code(), await call.details()) == (Code.OK, "")
            first, last = await call.initial_metadata(), await call.trailing_metadata()
            assert (first["x-first"], first["x-blob-bin"]) == ("1", b"\0\xff")
            assert last.get_all("x-last-bin") == [b"\0\xff", b"\1"]
            assert (call.done(), call.cancelled(), call.cancel()) == (True, False, False)

    @pytest.mark.parametrize(
        ("sent", "text"), [("na%C3%AFve %25", "naïve %"), ("50% of%2", "50% of%2"), ("%zz", "%zz")]
    )
    async def test_the_text_of_a_status(self, connect: Connect, sent: str, text: str) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.refuse(1, 9, ("grpc-message", sent), ("x-why", "so"))
            await peer.stay()

        error = await failed(connect, script)
        assert (error.code(), error.details()) == (Code.FAILED_PRECONDITION, text)
        assert error.trailing_metadata()["x-why"] == "so"

    async def test_a_status_that_there_is_not(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.refuse(1, 77)
            await peer.stay()

        assert (await failed(connect, script)).code() is Code.UNKNOWN

    @pytest.mark.parametrize(
        ("http", "code"),
        [
            (400, Code.INTERNAL), (401, Code.UNAUTHENTICATED), (403, Code.PERMISSION_DENIED), (404, Code.UNIMPLEMENTED),
            (418, Code.UNKNOWN), (429, Code.UNAVAILABLE), (502, Code.UNAVAILABLE), (503, Code.UNAVAILABLE),
            (504, Code.UNAVAILABLE),
        ],
    )  # fmt: skip
    async def test_answers_of_http(self, connect: Connect, http: int, code: grpc.StatusCode) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.send(peer.head(1, (":status", str(http)), ("content-type", "text/html")))
            peer.send(frames.frame(frames.DATA, END_STREAM, 1, b"<html>no</html>"))
            await peer.stay()

        error = await failed(connect, script)
        assert error.code() is code
        assert str(http) in error.details()

    @pytest.mark.parametrize(
        ("reset", "code"),
        [(0x2, Code.INTERNAL), (0x8, Code.CANCELLED), (0xB, Code.RESOURCE_EXHAUSTED), (0xC, Code.PERMISSION_DENIED)],
    )
    async def test_a_reset(self, connect: Connect, reset: int, code: grpc.StatusCode) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.send(frames.rst_stream(1, reset))
            await peer.stay()

        assert (await failed(connect, script)).code() is code

    async def test_half_an_answer(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.send(peer.head(1, *FIRST), data(1, b"abcdef")[:-3])

        assert (await failed(connect, script)).code() is Code.UNAVAILABLE

    async def test_a_server_that_is_none(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await peer.stay()

        assert (await failed(connect, script)).code() is Code.UNAVAILABLE

    async def test_a_server_that_says_nothing_and_a_deadline(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.stay()

        async with serving(script) as address, connect(address) as channel:
            assert (await failure(channel.unary_unary(PATH)(b"", timeout=0.2))).code() is Code.DEADLINE_EXCEEDED

    async def test_a_deadline_resets_the_stream(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            peer.answer((await peer.request()).stream, b"")
            await peer.request()
            assert (await peer.until(frames.RST_STREAM)).payload == frames.LONG.pack(8)
            assert (await peer.request()).stream == 5
            # What comes of the late one all the same is let pass, and its headers count.
            peer.send(peer.head(3, *FIRST, ("x-kept", "in the table")), data(3, b"late"))
            peer.answer(5, b"ok", ("x-kept", "in the table"))
            await peer.stay()

        async with serving(script) as address, connect(address) as channel:
            call = channel.unary_unary(PATH)
            # Once there is a connection the late one is sent, however busy the machine is.
            assert await call(b"") == b""
            assert (await failure(call(b"", timeout=0.5))).code() is Code.DEADLINE_EXCEEDED
            second = call(b"")
            assert await second == b"ok"
            assert (await second.trailing_metadata())["x-kept"] == "in the table"

    @pytest.mark.parametrize("way", ["call", "task"])
    async def test_cancelling_resets_the_stream(self, connect: Connect, way: str) -> None:
        came = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            came.set()
            assert (await peer.until(frames.RST_STREAM)).payload == frames.LONG.pack(8)
            peer.answer((await peer.request()).stream, b"ok")
            await peer.stay()

        async with serving(script) as address, connect(address) as channel:
            call = channel.unary_unary(PATH)(b"")

            async def wait() -> None:
                await call

            task = asyncio.create_task(wait())
            await came.wait()
            if way == "call":
                assert call.cancel()
            else:
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (call.cancelled(), await call.code()) == (True, Code.CANCELLED)
            assert await channel.unary_unary(PATH)(b"") == b"ok"

    async def test_a_ping_is_answered(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.send(frames.frame(frames.PING, 0, 0, b"01234567"))
            assert (await peer.until(frames.PING)) == (frames.PING, frames.ACK, 0, b"01234567")
            peer.answer(1, b"ok")

        async with serving(script) as address, connect(address) as channel:
            assert await channel.unary_unary(PATH)(b"") == b"ok"

    async def test_settings_are_acknowledged(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            peer.send(frames.settings({}))
            await peer.reader.readexactly(len(frames.PREFACE))
            await peer.until(frames.SETTINGS, frames.ACK)
            asked = await peer.request()
            peer.send(frames.settings({frames.MAX_FRAME_SIZE: 1 << 20}))
            await peer.until(frames.SETTINGS, frames.ACK)
            peer.answer(asked.stream, b"ok")

        async with serving(script) as address, connect(address) as channel:
            assert await channel.unary_unary(PATH)(b"") == b"ok"

    async def test_no_more_calls_at_a_time_than_the_server_allows(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet({frames.MAX_CONCURRENT_STREAMS: 1})
            first = await peer.request()
            # A PING is answered at once: a second request would have come before it.
            peer.send(frames.frame(frames.PING, 0, 0, bytes(8)))
            found = await peer.read()
            while (found.kind, found.flags) != (frames.PING, frames.ACK):
                assert found.kind not in (frames.HEADERS, frames.DATA)
                found = await peer.read()
            peer.answer(first.stream, first.message)
            for _ in range(2):
                asked = await peer.request()
                peer.answer(asked.stream, asked.message)

        async with serving(script) as address, connect(address) as channel:
            calls = [channel.unary_unary(PATH)(str(number).encode()) for number in range(3)]
            assert await asyncio.gather(*calls) == [b"0", b"1", b"2"]

    async def test_the_windows_of_the_server(self, connect: Connect) -> None:
        message = bytes(range(256)) * 400

        async def script(peer: Peer) -> None:
            await peer.greet({frames.INITIAL_WINDOW_SIZE: 10})
            asked = await peer.headers()
            got = b""
            grants = [
                frames.window_update(1, 20),
                # By more streams' window, then by the connection's.
                frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 20}),
                frames.window_update(0, len(message)),
            ]
            for allowed in (10, 30, 65_535):
                while len(got) < allowed:
                    got += (await peer.until(frames.DATA)).payload
                assert len(got) == allowed
                peer.send(frames.frame(frames.PING, 0, 0, bytes(8)))
                found = await peer.read()
                while (found.kind, found.flags) != (frames.PING, frames.ACK):
                    assert found.kind != frames.DATA
                    found = await peer.read()
                peer.send(grants.pop(0))
            while len(got) < len(message) + 5:
                got += (await peer.until(frames.DATA)).payload
            assert got == prefixed(message)
            peer.answer(asked.stream, b"ok")

        async with serving(script) as address, connect(address) as channel:
            assert await channel.unary_unary(PATH)(message) == b"ok"

    async def test_a_compressed_answer(self, connect: Connect) -> None:
        text = b"again " * 1000

        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.send(peer.head(1, *FIRST, ("grpc-encoding", "gzip")), data(1, gzip.compress(text), flag=1))
            peer.send(peer.head(1, ("grpc-status", "0"), ended=True))
            await peer.stay()

        async with serving(script) as address, connect(address) as channel:
            assert await channel.unary_unary(PATH)(b"") == text

    async def test_an_answer_that_is_too_large(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            size = (33 * MIB).to_bytes(4, "big")
            peer.send(peer.head(1, *FIRST), frames.frame(frames.DATA, 0, 1, b"\0" + size + b"begun"))
            await peer.stay()

        error = await failed(connect, script)
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert "larger than max" in error.details()

    async def test_a_request_that_is_too_large(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            peer.answer((await peer.request()).stream, b"ok")
            await peer.stay()

        async with serving(script) as address, connect(address) as channel:
            error = await failure(channel.unary_unary(PATH)(bytes(33 * MIB)))
            assert error.code() is Code.RESOURCE_EXHAUSTED
            assert "larger than max" in error.details()
            assert await channel.unary_unary(PATH)(b"") == b"ok"

    # Connections that end.

    async def test_calls_that_a_leaving_server_did_not_take_go_to_the_next(self, connect: Connect) -> None:
        async def leaves(peer: Peer) -> None:
            await peer.greet()
            await peer.request()
            peer.send(frames.goaway(0, 0))
            await peer.stay()

        async def next_one(peer: Peer) -> None:
            await peer.greet()
            peer.answer((await peer.request()).stream, b"ok")
            await peer.stay()

        async with serving(leaves, next_one) as address, connect(address) as channel:
            assert await channel.unary_unary(PATH)(b"") == b"ok"

    async def test_a_call_that_was_refused_is_sent_again_once(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            peer.send(frames.rst_stream((await peer.request()).stream, 7))
            again = await peer.request()
            assert again.message == b"abc"
            peer.answer(again.stream, b"ok")
            await peer.stay()

        async with serving(script) as address, connect(address, attempts=2) as channel:
            assert await channel.unary_unary(PATH)(b"abc") == b"ok"

    async def test_nobody_listens_and_then_somebody_does(self, connect: Connect) -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with connect(f"127.0.0.1:{port}") as channel:
            error = await failure(channel.unary_unary(PATH)(b""))
            assert error.code() is Code.UNAVAILABLE
            assert channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE
            ready = channel.unary_unary(PATH)(b"", wait_for_ready=True, timeout=150)

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                peer = Peer(reader, writer)
                await peer.greet()
                peer.answer((await peer.request()).stream, b"ok")
                await peer.stay()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", port)
            assert await ready == b"ok"
            assert channel.get_state() is grpc.ChannelConnectivity.READY
        server.close()

    async def test_a_closed_channel_takes_no_calls(self, connect: Connect) -> None:
        async with serving() as address:
            async with connect(address) as channel:
                call = channel.unary_unary(PATH)
            with pytest.raises(grpc.aio.UsageError):
                await call(b"")

    # Calls that nobody could answer.

    async def test_a_call_is_repeated_while_it_is_unavailable(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            for number in range(3):
                asked = await peer.request()
                assert asked.message == b"abc"
                assert asked.fields.get("grpc-previous-rpc-attempts", "0") == str(number)
                if number < 2:
                    peer.refuse(asked.stream, 14)
            peer.answer(asked.stream, b"ok")
            await peer.stay()

        async with serving(script) as address, connect(address, attempts=3) as channel:
            assert await channel.unary_unary(PATH)(b"abc") == b"ok"

    async def test_a_call_is_not_repeated_for_ever(self, connect: Connect) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            for number in range(2):
                peer.refuse((await peer.request()).stream, 14, ("grpc-message", str(number)))
            await peer.stay()

        error = await failed(connect, script, attempts=2)
        assert (error.code(), error.details()) == (Code.UNAVAILABLE, "1")

    @pytest.mark.parametrize("how", ["another status", "begun", "told not to", "a pause"])
    async def test_what_is_repeated(self, connect: Connect, how: str) -> None:
        async def script(peer: Peer) -> None:
            await peer.greet()
            stream = (await peer.request()).stream
            if how == "another status":
                peer.refuse(stream, 10)
            elif how == "begun":
                peer.send(peer.head(stream, *FIRST), peer.head(stream, ("grpc-status", "14"), ended=True))
            elif how == "told not to":
                peer.refuse(stream, 14, ("grpc-retry-pushback-ms", "-1"))
            else:
                peer.refuse(stream, 14, ("grpc-retry-pushback-ms", "1"))
                peer.refuse((await peer.request()).stream, 10)
            await peer.stay()

        assert (await failed(connect, script, attempts=2)).code() in (Code.ABORTED, Code.UNAVAILABLE)
