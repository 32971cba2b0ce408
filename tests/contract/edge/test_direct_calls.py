"""Calls that are taken without a task: answered, ended, handed over, left by their callers, and shut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import uvloop
from modelog_common.edge.direct import DirectCall
from modelog_common.edge.server import EdgeServer
from modelog_common.edge.status import Status

PATH = "/t.T/Ask"
PATIENCE_S = 150.0
Ask = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


async def handled(request: bytes, _context: Any) -> bytes:
    return b"handled " + request[:100]


@asynccontextmanager
async def asking(direct: Callable[[DirectCall], bool], drain_s: float = 0) -> AsyncIterator[tuple[Ask, EdgeServer]]:
    server = EdgeServer()
    server.add_registered_method_handlers("t.T", {"Ask": grpc.unary_unary_rpc_method_handler(handled)})
    server.add_direct(PATH, direct)
    port = await server.listen("127.0.0.1", 0)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel.unary_unary(PATH), server
    finally:
        await server.stop(drain_s)


async def test_calls_are_answered_now_or_later_together() -> None:
    taken: list[DirectCall] = []

    def direct(call: DirectCall) -> bool:
        if call.request == b"now":
            call.answer(b"at once")
        else:
            taken.append(call)
        if len(taken) == 3:
            for each in taken:
                each.answer(b"together " + each.request)
        return True

    async with asking(direct) as (ask, _):
        assert await ask(b"now") == b"at once"
        asked = [asyncio.create_task(_awaited(ask(b"%d" % n))) for n in range(3)]
        assert [await task for task in asked] == [b"together 0", b"together 1", b"together 2"]
        assert all(call.ended for call in taken)


async def _awaited(call: Any) -> Any:
    return await call


async def test_what_is_not_taken_is_the_handlers() -> None:
    seen: list[bytes] = []

    def direct(call: DirectCall) -> bool:
        seen.append(call.request)
        return False

    async with asking(direct) as (ask, _):
        assert await ask(b"other") == b"handled other"
        # These do not even ask: an empty message, one in several frames, one that is compressed.
        assert await ask(b"") == b"handled "
        assert await ask(b"x" * 100_000) == b"handled " + b"x" * 100
        assert await ask(b"s" * 5000, compression=grpc.Compression.Gzip) == b"handled " + b"s" * 100
        assert seen == [b"other"]


async def test_a_call_is_handed_over_after_all() -> None:
    def direct(call: DirectCall) -> bool:
        asyncio.get_running_loop().call_soon(call.hand_over)
        return True

    async with asking(direct) as (ask, _):
        assert await ask(b"later", timeout=PATIENCE_S) == b"handled later"


async def test_a_call_ends_with_a_status() -> None:
    def direct(call: DirectCall) -> bool:
        call.fail(Status(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", (("hint", "later"),)))
        # What comes after the end is nobody's.
        call.answer(b"no")
        call.hand_over()
        return True

    async with asking(direct) as (ask, _):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(b"a")
        assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
        assert ("hint", "later") in tuple(refused.value.trailing_metadata() or ())


async def test_a_caller_who_left_is_known_to_have() -> None:
    taken: asyncio.Future[DirectCall] = asyncio.get_running_loop().create_future()

    def direct(call: DirectCall) -> bool:
        if call.request == b"stays":
            call.answer(b"here")
        else:
            taken.set_result(call)
        return True

    async with asking(direct) as (ask, _):
        call = ask(b"leaves", metadata=(("who", "me"),))
        held = await asyncio.wait_for(taken, PATIENCE_S)
        assert ("who", "me") in held.head.metadata
        assert not held.ended
        call.cancel()
        # The reset comes on the same connection, before this call.
        assert await ask(b"stays") == b"here"
        assert held.ended
        held.answer(b"nobody")
        held.hand_over()


async def test_who_waits_when_the_server_stops_is_told_so() -> None:
    taken: asyncio.Future[DirectCall] = asyncio.get_running_loop().create_future()

    def direct(call: DirectCall) -> bool:
        taken.set_result(call)
        return True

    async with asking(direct) as (ask, server):
        call = ask(b"waits")
        await asyncio.wait_for(taken, PATIENCE_S)
        await server.stop(0)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_drains_waits_for_the_answer() -> None:
    taken: asyncio.Future[DirectCall] = asyncio.get_running_loop().create_future()

    def direct(call: DirectCall) -> bool:
        taken.set_result(call)
        return True

    async with asking(direct) as (ask, server):
        call = ask(b"waits")
        held = await asyncio.wait_for(taken, PATIENCE_S)
        stopping = asyncio.create_task(server.stop(PATIENCE_S))
        await asyncio.sleep(0)
        assert not stopping.done()
        held.answer(b"in time")
        assert await call == b"in time"
        await stopping


def test_an_answer_to_who_was_gone_before_it_went_out_is_dropped() -> None:
    """As services run: uvloop's transports refuse what is written to them after their end."""
    failed: list[dict[str, Any]] = []

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context))
        taken: asyncio.Future[DirectCall] = asyncio.get_running_loop().create_future()

        def direct(call: DirectCall) -> bool:
            taken.set_result(call)
            return True

        async with asking(direct) as (ask, server):
            call = ask(b"a")
            held = await asyncio.wait_for(taken, PATIENCE_S)
            (connection,) = server._connections
            connection.transport.abort()
            held.answer(b"too late")
            with pytest.raises(grpc.aio.AioRpcError):
                await call

    uvloop.run(story())
    assert failed == []
