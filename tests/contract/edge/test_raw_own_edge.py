"""Our own edge passes the suite of raw bytes, and withstands what is sent to harm it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from edge_servicer import Edge, own
from edge_suite import until
from modelog_common.edge import connection, frames
from modelog_common.edge.frames import Code
from modelog_common.edge.limits import Allowance, Limits
from raw_http2 import PATIENCE_S, Raw, data
from raw_suite import FATAL, FATAL_NAMES, RawEdgeSuite

LIMITS = Limits(
    streams=100, running=150, held_bytes=300_000, handshake_s=0.1, header_block_s=0.1, request_s=0.1, unread_s=0.2,
    silent_s=0.1, sign_of_life_s=0.1, check_every_s=0.05,
)  # fmt: skip
EMPTY = frames.frame(frames.DATA, 0, 1)
PING = frames.frame(frames.PING, 0, 0, bytes(8))


class TestRawOwnEdge(RawEdgeSuite):
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        async with own() as edge:
            yield edge


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with own() as edge:
        yield edge


@pytest.fixture
async def strict() -> AsyncIterator[Edge]:
    """An edge with small limits."""
    async with own(LIMITS) as edge:
        yield edge


@pytest.fixture
def for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a peer used up does not come back with time, of which a busy machine may need much to send all of it."""
    monkeypatch.setattr(connection, "Allowance", lambda burst, _per_s: Allowance(burst, 0.0))


async def test_a_message_in_many_frames_padded_and_with_trailers(edge: Edge) -> None:
    async with Raw(edge) as raw:
        raw.send(raw.request())
        for byte in b"\0\0\0\0\3abc":
            raw.send(frames.frame(frames.DATA, frames.PADDED, 1, bytes((3, byte)) + bytes(3)))
        raw.send(raw.head([("x-end", "yes")], ended=True))
        assert (await raw.until(frames.DATA)).payload == b"\0\0\0\0\3abc"


async def test_an_encoding_that_is_not_known(edge: Edge) -> None:
    async with Raw(edge) as raw:
        raw.send(raw.request(1, "Echo", ("grpc-encoding", "snappy")), data(b"abc"))
        fields = await raw.ended()
        assert fields["grpc-status"] == "12"
        assert "gzip" in fields["grpc-accept-encoding"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        *FATAL,
        # grpcio lets these pass.
        (frames.frame(frames.DATA, 0, 0, b"x"), Code.PROTOCOL_ERROR),
        (frames.window_update(0, frames.LARGEST_WINDOW), Code.FLOW_CONTROL_ERROR),
    ],
    ids=[*FATAL_NAMES, "data of no stream", "window overflow"],
)
async def test_the_end_of_a_connection_says_why(edge: Edge, sent: bytes, code: Code) -> None:
    async with Raw(edge) as raw:
        raw.send(sent)
        assert await raw.goaway() == code


@pytest.mark.parametrize(
    ("message", "status", "text"),
    [
        (b"", "12", "the method takes exactly one request"),
        (b"\0\0\0\0\1a\0\0\0\0\1b", "12", "the method takes exactly one request"),
        (b"\0\0\0\0\5abc", "13", "the request ends within a message"),
        (b"\0\0\0", "13", "the request ends within a message"),
        (b"\1\0\0\0\1a", "13", "a message has the compressed-flag, but the call has no grpc-encoding"),
        (b"\2\0\0\0\1a", "13", "the compressed-flag of a message is 2; allowed: 0 and 1"),
        (b"\0\xff\xff\xff\xff", "8", "received message larger than max (4294967295 vs. 33554432)"),
    ],
    ids=["none", "two", "cut", "cut prefix", "no encoding", "flag", "size"],
)
async def test_bad_messages(edge: Edge, message: bytes, status: str, text: str) -> None:
    async with Raw(edge) as raw:
        raw.send(raw.request(), frames.frame(frames.DATA, frames.END_STREAM, 1, message))
        fields = await raw.ended()
        assert (fields["grpc-status"], fields["grpc-message"]) == (status, text)
        await raw.alive()


@pytest.mark.parametrize("squeezed", [b"none", b"\x1f\x8b\x08\x00", b""], ids=["none", "cut", "empty"])
async def test_what_is_no_gzip(edge: Edge, squeezed: bytes) -> None:
    async with Raw(edge) as raw:
        message = b"\1" + len(squeezed).to_bytes(4, "big") + squeezed
        raw.send(raw.request(1, "Echo", ("grpc-encoding", "gzip")))
        raw.send(frames.frame(frames.DATA, frames.END_STREAM, 1, message))
        assert (await raw.ended())["grpc-status"] == "13"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (("grpc-timeout", "1x"), "the grpc-timeout is malformed"),
        (("grpc-timeout", "123456789S"), "the grpc-timeout is malformed"),
        (("x-a-bin", "?"), "the metadata x-a-bin is not base64"),
    ],
)
async def test_bad_headers_of_a_call(edge: Edge, header: tuple[str, str], text: str) -> None:
    async with Raw(edge) as raw:
        raw.send(raw.request(1, "Echo", header), data(b""))
        fields = await raw.ended()
        assert (fields["grpc-status"], fields["grpc-message"]) == ("13", text)


async def test_headers_that_are_too_large(edge: Edge) -> None:
    async with Raw(edge) as raw:
        raw.send(raw.request(1, "Echo", *((f"x-{n}", "v" * 100) for n in range(120))), data(b""))
        fields = await raw.ended()
        assert fields["grpc-status"] == "8"
        assert "received metadata larger than max" in fields["grpc-message"]
        await raw.alive()


@pytest.mark.parametrize(("content_type", "method", "status"), [("application/json", "POST", "415"),
                         ("application/grpc-web", "POST", "415"), ("application/grpc", "GET", "405")])  # fmt: skip
async def test_what_is_not_grpc(edge: Edge, content_type: str, method: str, status: str) -> None:
    async with Raw(edge) as raw:
        fields = [(":method", method), (":scheme", "http"), (":path", "/"), ("content-type", content_type)]
        raw.send(raw.head(fields), frames.frame(frames.DATA, 0, 1, b"{"), frames.frame(frames.DATA, 1, 1, b"}"))
        assert (await raw.fields())[":status"] == status
        assert b"gRPC" in (await raw.until(frames.DATA)).payload or status == "415"


async def test_content_types_that_are_grpc(edge: Edge) -> None:
    async with Raw(edge) as raw:
        for stream, kind in ((1, "application/grpc+proto"), (3, "application/grpc;v=1")):
            fields = [(":method", "POST"), (":scheme", "http"), (":path", "/modelog.tests.Edge/Echo")]
            raw.send(raw.head([*fields, ("content-type", kind)], stream), data(b"x", stream))
            assert (await raw.ended())["grpc-status"] == "0"


async def test_new_windows_are_acknowledged_before_they_are_used(edge: Edge) -> None:
    """grpcio's client takes more DATA for a fault as long as it has no acknowledgement."""
    async with Raw(edge, settings={frames.INITIAL_WINDOW_SIZE: 0}) as raw:
        raw.send(raw.request(), data(b"abc"))
        await raw.fields()
        raw.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 100}))
        first, second = await raw.read(), await raw.read()
        assert (first.kind, first.flags, second.kind) == (frames.SETTINGS, frames.ACK, frames.DATA)


async def test_more_streams_than_are_allowed(strict: Edge) -> None:
    async with Raw(strict) as raw:
        strict.servicer.release.clear()
        for number in range(101):
            raw.send(raw.request(2 * number + 1, "Held"), data(b"x", 2 * number + 1))
        assert await raw.reset() == (201, Code.REFUSED_STREAM)
        strict.servicer.release.set()
        assert (await raw.ended())["grpc-status"] == "0"


@pytest.mark.usefixtures("for_good")
async def test_rapid_reset(edge: Edge) -> None:
    """CVE-2023-44487: handlers are cancelled, and who resets without end is sent away."""
    async with Raw(edge) as raw, Raw(edge) as other:
        for number in range(1, 4001, 2):
            raw.send(raw.request(number, "Held"), data(b"", number), frames.rst_stream(number, Code.CANCEL))
        assert await raw.goaway() == Code.ENHANCE_YOUR_CALM
        assert edge.servicer.most_running <= Limits().running
        async with asyncio.timeout(PATIENCE_S):
            while edge.servicer.running:
                await asyncio.sleep(0)
        await other.alive()


@pytest.mark.usefixtures("for_good")
async def test_resets_that_the_server_is_made_to_send(edge: Edge) -> None:
    """CVE-2025-8671."""
    async with Raw(edge) as raw:
        for number in range(1, 4001, 2):
            raw.send(raw.request(number, "Held"), frames.window_update(number, 0))
        assert await raw.goaway() == Code.ENHANCE_YOUR_CALM


@pytest.mark.usefixtures("for_good")
@pytest.mark.parametrize(
    "flood",
    [PING, frames.settings({}), frames.frame(200, 0, 0), frames.frame(frames.PRIORITY, 0, 3, bytes(5)), EMPTY],
    ids=["ping", "settings", "unknown", "priority", "empty data"],
)
async def test_floods_of_frames_that_bring_nothing(edge: Edge, flood: bytes) -> None:
    async with Raw(edge) as raw:
        raw.send(raw.request(1, "Join"), flood * 20_000)
        assert await raw.goaway() == Code.ENHANCE_YOUR_CALM


async def test_who_sends_on_after_a_fault_learns_what_it_was(edge: Edge) -> None:
    """A socket that is closed with bytes unread takes along what was on its way to the peer."""
    async with Raw(edge) as raw:
        raw.send(frames.frame(frames.PING, 0, 0, bytes(7)))
        for _ in range(50):
            raw.send(PING * 1000)
            await asyncio.sleep(0.002)
        assert await raw.goaway() == Code.FRAME_SIZE_ERROR


async def test_who_sends_on_for_long_after_a_fault_is_cut_off(strict: Edge) -> None:
    async with Raw(strict) as raw:
        raw.send(frames.frame(frames.PING, 0, 0, bytes(7)))
        async with asyncio.timeout(PATIENCE_S):
            while not raw.writer.is_closing():
                raw.send(PING)
                await asyncio.sleep(0.01)


async def test_a_flood_of_continuations(edge: Edge) -> None:
    """CVE-2024-27316."""
    async with Raw(edge) as raw:
        raw.send(frames.frame(frames.HEADERS, 0, 1, b""), frames.frame(frames.CONTINUATION, 0, 1, b"") * 1000)
        assert await raw.goaway() == Code.ENHANCE_YOUR_CALM


async def test_a_header_bomb(edge: Edge) -> None:
    """A long entry of the dynamic table, named over and over with one byte each."""
    async with Raw(edge) as raw:
        long = b"\x40\x01x\x7f\x81\x1e" + bytes(4000).replace(b"\0", b"v")
        raw.send(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, long + b"\xbe" * 8000))
        assert await raw.goaway() == Code.ENHANCE_YOUR_CALM


async def test_a_peer_that_does_not_read_is_not_read(edge: Edge) -> None:
    """Its PINGs would fill our memory with answers, its calls with messages; the others go on."""
    async with Raw(edge) as raw, Raw(edge) as other:
        raw.send(frames.window_update(0, 1 << 30), frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 30}))
        raw.send(raw.request(1, "Fill"), data(bytes(16_000), 1))
        (connection,) = [c for c in edge.server._connections if c.streams] or [None]
        async with asyncio.timeout(PATIENCE_S):
            while connection is None or not connection.outbox.paused:
                await asyncio.sleep(0)
                connection = next((c for c in edge.server._connections if c.streams), None)
        written = edge.servicer.written
        assert written < 2000
        for _ in range(5):
            await other.alive()
        assert edge.servicer.written <= written + 100
        assert connection.outbox.queued_bytes + connection.outbox.pending_bytes < 2 << 20


async def test_messages_in_parts_do_not_fill_the_memory(strict: Edge) -> None:
    """Many large messages, none of them whole."""
    async with Raw(strict) as raw:
        begun = (1 << 20).to_bytes(5, "big") + bytes(16_000)
        for number in range(1, 61, 2):
            raw.send(raw.request(number, "Echo"), frames.frame(frames.DATA, 0, number, begun))
        fields = await raw.ended()
        assert (fields["grpc-status"], "too many bytes" in fields["grpc-message"]) == ("8", True)


async def test_messages_in_parts_over_many_connections_do_not_fill_the_memory() -> None:
    begun = (1 << 20).to_bytes(5, "big") + bytes(16_000)
    async with own(Limits(all_held_bytes=100_000)) as edge, AsyncExitStack() as stack:
        for _ in range(6):
            held = await stack.enter_async_context(Raw(edge))
            held.send(held.request(), frames.frame(frames.DATA, 0, 1, begun))
            await held.alive()
        last = await stack.enter_async_context(Raw(edge))
        last.send(last.request(), frames.frame(frames.DATA, 0, 1, begun))
        fields = await last.ended()
        assert (fields["grpc-status"], "the server holds too many bytes" in fields["grpc-message"]) == ("8", True)
        # What is refused holds nothing.
        await held.alive()


async def test_more_connections_than_are_allowed() -> None:
    async with own(Limits(connections=2)) as edge, Raw(edge) as first, Raw(edge):
        async with Raw(edge, polite=False) as third:
            assert await third.goaway() == Code.ENHANCE_YOUR_CALM
        await first.alive()
        first.send(first.request(), data(b"abc"))
        assert (await first.ended())["grpc-status"] == "0"


@pytest.mark.parametrize("sent", [b"", frames.PREFACE[:10], frames.PREFACE], ids=["nothing", "cut", "no settings"])
async def test_a_peer_that_does_not_begin(strict: Edge, sent: bytes) -> None:
    async with Raw(strict, polite=False) as raw:
        raw.send(sent)
        assert await raw.goaway() == Code.SETTINGS_TIMEOUT


async def test_headers_that_do_not_end(strict: Edge) -> None:
    async with Raw(strict) as raw:
        raw.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
        assert await raw.goaway() == Code.ENHANCE_YOUR_CALM


async def test_a_request_that_does_not_come(strict: Edge) -> None:
    async with Raw(strict) as raw:
        raw.send(raw.request(1, "Echo"), frames.frame(frames.DATA, 0, 1, b"\0\0"))
        fields = await raw.ended()
        assert (fields["grpc-status"], "the request did not come" in fields["grpc-message"]) == ("1", True)


async def test_a_peer_that_is_silent_is_asked_for_a_sign_of_life(strict: Edge) -> None:
    async with Raw(strict) as raw:
        raw.send(raw.request(1, "Held"), data(b""))
        ping = await raw.until(frames.PING, 0)
        raw.send(frames.frame(frames.PING, frames.ACK, 0, ping.payload))
        await raw.until(frames.PING, 0)
        await until(strict.servicer.cancelled, "the handler was not cancelled")
        assert await raw.read() is None


async def test_a_drain_takes_what_was_on_its_way(edge: Edge) -> None:
    """RFC 9113, section 6.8: the last stream is named only when the peer has heard of the end."""
    async with Raw(edge) as raw:
        raw.send(raw.request(1, "Held"), data(b"1", 1))
        await until(edge.servicer.entered, "the call did not arrive")
        stopping = asyncio.ensure_future(edge.stop(PATIENCE_S))
        first = await raw.until(frames.GOAWAY)
        assert (first.number, first.payload[:4]) == (Code.NO_ERROR, b"\x7f\xff\xff\xff")
        ping = await raw.until(frames.PING, 0)
        raw.send(raw.request(3, "Echo"), data(b"3", 3), frames.frame(frames.PING, frames.ACK, 0, ping.payload))
        last = await raw.until(frames.GOAWAY)
        assert (last.number, last.payload[:4]) == (Code.NO_ERROR, b"\0\0\0\3")
        assert (await raw.ended())["grpc-status"] == "0"
        raw.send(raw.request(5, "Echo"), data(b"5", 5))
        await raw.alive()
        edge.servicer.release.set()
        assert (await raw.ended())["grpc-status"] == "0"
        while await raw.read() is not None:
            pass
        await stopping
