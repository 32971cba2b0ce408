"""What every gRPC edge does, asked by grpcio's client: inherit `GrpcEdgeSuite` and give it the fixture `edge`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from edge_servicer import OPTIONS, SERVICE, Edge

PATIENCE_S = 150.0
MIB = 1 << 20
BIG = bytes(range(256)) * (20 * MIB // 256)
Code = grpc.StatusCode


async def until(event: asyncio.Event, what: str) -> None:
    try:
        await asyncio.wait_for(event.wait(), PATIENCE_S)
    except TimeoutError:
        pytest.fail(f"{what} within {PATIENCE_S} s")


async def each(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


def unary(channel: Any, name: str) -> Any:
    return channel.unary_unary(f"/{SERVICE}/{name}")


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


class GrpcEdgeSuite:
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        raise NotImplementedError

    @pytest.fixture
    async def channel(self, edge: Edge) -> AsyncIterator[Any]:
        async with grpc.aio.insecure_channel(edge.address, options=OPTIONS) as channel:
            yield channel

    async def test_unary(self, channel: Any) -> None:
        assert await unary(channel, "Echo")(b"abc") == b"abc"
        assert await unary(channel, "Echo")(b"") == b""

    async def test_a_stream_of_answers(self, channel: Any) -> None:
        call = channel.unary_stream(f"/{SERVICE}/Count")
        assert [a async for a in call(b"3")] == [b"0", b"1", b"2"]
        assert [a async for a in call(b"0")] == []

    async def test_answers_that_are_written(self, channel: Any) -> None:
        call = channel.unary_stream(f"/{SERVICE}/Write")(b"2")
        assert [a async for a in call] == [b"0", b"1"]
        assert await call.code() is Code.OK
        none = channel.unary_stream(f"/{SERVICE}/Write")(b"0")
        assert (await none.code(), await none.details()) == (Code.OUT_OF_RANGE, "none")

    async def test_a_stream_of_requests(self, channel: Any) -> None:
        call = channel.stream_unary(f"/{SERVICE}/Join")
        assert await call(each(b"a", b"", b"bc")) == b"abc"
        assert await call(each()) == b""

    async def test_an_answer_before_the_requests_end(self, edge: Edge, channel: Any) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.Event().wait()

        assert await channel.stream_unary(f"/{SERVICE}/First")(endless()) == b"first"
        assert await unary(channel, "Echo")(b"still") == b"still"

    async def test_both_ways_in_turn(self, channel: Any) -> None:
        for name in ("Each", "Read"):
            call = channel.stream_stream(f"/{SERVICE}/{name}")()
            for message in (b"one", b"two"):
                await call.write(message)
                assert await call.read() == message
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() is Code.OK

    async def test_an_abort_within_a_stream(self, channel: Any) -> None:
        call = channel.stream_stream(f"/{SERVICE}/Each")(each(b"a", b"abort"))
        assert await call.read() == b"a"
        assert (await call.code(), await call.details()) == (Code.ABORTED, "as asked")

    async def test_a_status_with_text_metadata_and_details(self, channel: Any) -> None:
        text = "refused: 100 % of naïve calls\nfrom “here” \x7f"
        error = await failure(unary(channel, "Abort")(text.encode()))
        assert (error.code(), error.details()) == (Code.FAILED_PRECONDITION, text)
        trailing = dict(error.trailing_metadata())
        assert trailing["x-why"] == "asked"
        assert trailing["grpc-status-details-bin"] == bytes(range(256))

    async def test_a_code_that_was_set_before_an_error(self, channel: Any) -> None:
        assert (await failure(unary(channel, "Coded")(b""))).code() is Code.DATA_LOSS

    async def test_an_error_of_the_handler(self, channel: Any) -> None:
        assert (await failure(unary(channel, "Broken")(b""))).code() is Code.UNKNOWN

    async def test_methods_and_services_that_there_are_not(self, channel: Any) -> None:
        for path in (f"/{SERVICE}/None", "/none/Echo", "/", f"/{SERVICE}/", f"/{SERVICE}/Echo/more"):
            assert (await failure(channel.unary_unary(path)(b""))).code() is Code.UNIMPLEMENTED
        assert (await failure(unary(channel, "Plain")(b""))).code() is Code.UNIMPLEMENTED

    async def test_metadata_of_both_kinds_in_both_directions(self, channel: Any) -> None:
        blob = bytes(range(256))
        given = (("x-text", "a, b;c=d"), ("x-blob-bin", blob), ("x-text", "again"), ("x-empty-bin", b""))
        call = unary(channel, "Metadata")(b"", metadata=given)
        assert await call == b"agent"
        # grpcio's client tells names once, with all their values.
        before, after = await call.initial_metadata(), await call.trailing_metadata()
        assert before.get_all("x-text") == after.get_all("x-text-back") == ["a, b;c=d", "again"]
        assert before["x-blob-bin"] == after["x-blob-back-bin"] == blob
        assert before["x-empty-bin"] == after["x-empty-back-bin"] == b""

    async def test_a_deadline_ends_the_handler(self, edge: Edge, channel: Any) -> None:
        # On a busy machine a call may be over before its handler began.
        for timeout_s in (0.3, 3, 30):
            error = await failure(unary(channel, "Held")(b"", timeout=timeout_s))
            assert error.code() is Code.DEADLINE_EXCEEDED
            if edge.servicer.remaining is not None:
                break
        await until(edge.servicer.cancelled, "the handler was not cancelled")
        assert 0 <= edge.servicer.remaining <= timeout_s + 0.7

    async def test_without_a_deadline_there_is_none(self, edge: Edge, channel: Any) -> None:
        edge.servicer.release.set()
        await unary(channel, "Held")(b"")
        assert edge.servicer.remaining is None

    async def test_cancelling_ends_the_handler(self, edge: Edge, channel: Any) -> None:
        call = unary(channel, "Held")(b"")
        waiting = asyncio.ensure_future(failure_or_cancel(call))
        await until(edge.servicer.entered, "the call did not arrive")
        call.cancel()
        await until(edge.servicer.cancelled, "the handler was not cancelled")
        await waiting

    async def test_leaving_a_stream_ends_its_handler(self, edge: Edge, channel: Any) -> None:
        call = channel.unary_stream(f"/{SERVICE}/Fill")(b"x")
        assert await call.read() == b"x"
        call.cancel()
        await until(edge.servicer.left, "the handler did not end")

    async def test_a_client_that_is_gone_ends_the_handler(self, edge: Edge) -> None:
        channel = grpc.aio.insecure_channel(edge.address)
        waiting = asyncio.ensure_future(failure_or_cancel(unary(channel, "Held")(b"")))
        await until(edge.servicer.entered, "the call did not arrive")
        await channel.close()
        await until(edge.servicer.cancelled, "the handler was not cancelled")
        await waiting

    async def test_gzip_in_both_directions(self, channel: Any) -> None:
        text = b"again and again " * 10_000
        assert await unary(channel, "Echo")(text, compression=grpc.Compression.Gzip) == text
        assert await unary(channel, "Compressed")(text) == text
        join = channel.stream_unary(f"/{SERVICE}/Join")
        assert await join(each(text, b"!"), compression=grpc.Compression.Gzip) == text + b"!"

    async def test_large_messages_in_both_directions(self, channel: Any) -> None:
        assert await unary(channel, "Echo")(BIG) == BIG
        call = channel.stream_stream(f"/{SERVICE}/Each")(each(BIG, b"small"))
        assert [len(a) async for a in call] == [len(BIG), 5]

    async def test_messages_that_are_too_large(self, edge: Edge) -> None:
        options = [("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(edge.address, options=options) as channel:
            error = await failure(unary(channel, "Echo")(bytes(33 * MIB)))
            assert error.code() is Code.RESOURCE_EXHAUSTED
            assert "larger than max" in error.details()
            assert await unary(channel, "Echo")(b"still") == b"still"

    async def test_two_hundred_calls_at_once_over_one_connection(self, edge: Edge, channel: Any) -> None:
        calls = [asyncio.ensure_future(unary(channel, "Held")(str(n).encode())) for n in range(200)]
        async with asyncio.timeout(PATIENCE_S):
            while edge.servicer.running < 200:
                await asyncio.sleep(0)
        edge.servicer.release.set()
        assert await asyncio.gather(*calls) == [str(n).encode() for n in range(200)]

    async def test_a_handler_waits_for_a_client_that_does_not_read(self, edge: Edge, channel: Any) -> None:
        call = channel.unary_stream(f"/{SERVICE}/Fill")(bytes(64 << 10))
        await call.read()
        assert await unary(channel, "Echo")(b"others go on") == b"others go on"
        assert edge.servicer.written < 1000
        call.cancel()
        await until(edge.servicer.left, "the handler did not end")

    async def test_a_client_waits_for_a_handler_that_does_not_read(self, edge: Edge, channel: Any) -> None:
        sent = 0

        async def many() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(400):
                yield bytes(64 << 10)
                sent += 1

        answer = asyncio.ensure_future(channel.stream_unary(f"/{SERVICE}/Slow")(many()))
        await until(edge.servicer.entered, "the call did not arrive")
        assert await unary(channel, "Echo")(bytes(MIB)) == bytes(MIB)
        assert sent < 400
        edge.servicer.release.set()
        assert await answer == str(400 * (64 << 10)).encode()

    async def test_a_stop_lets_running_calls_end(self, edge: Edge, channel: Any) -> None:
        running = asyncio.ensure_future(unary(channel, "Held")(b"on"))
        await until(edge.servicer.entered, "the call did not arrive")
        stopping = asyncio.ensure_future(edge.stop(PATIENCE_S))
        async with grpc.aio.insecure_channel(edge.address) as other:
            assert (await failure(unary(other, "Echo")(b"late"))).code() is Code.UNAVAILABLE
        edge.servicer.release.set()
        assert await running == b"on"
        await asyncio.wait_for(stopping, PATIENCE_S)

    async def test_a_stop_cancels_what_outlasts_it(self, edge: Edge, channel: Any) -> None:
        running = asyncio.ensure_future(failure(unary(channel, "Held")(b"")))
        await until(edge.servicer.entered, "the call did not arrive")
        await edge.stop(0.05)
        assert (await running).code() is Code.UNAVAILABLE
        await until(edge.servicer.cancelled, "the handler was not cancelled")

    async def test_the_context_tells_of_the_peer_and_of_the_end(self, edge: Edge, channel: Any) -> None:
        assert (await unary(channel, "Peer")(b"")).startswith(b"ipv4:127.0.0.1:")
        edge.servicer.release.set()
        await unary(channel, "Held")(b"")
        (context,) = edge.servicer.contexts
        async with asyncio.timeout(PATIENCE_S):
            while not context.done():
                await asyncio.sleep(0)
        assert not context.cancelled()


async def failure_or_cancel(call: Any) -> None:
    try:
        await call
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        return
    pytest.fail("the call ended well")
