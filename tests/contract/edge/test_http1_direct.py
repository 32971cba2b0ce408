"""Requests that are taken without a task: answered in order, handed over, left by their callers, and waited for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from http1_pair import WAIT_S, Told, answers_to
from modelog_common.edge.http1 import AHEAD_BYTES, Direct, Http1, HttpCall
from modelog_common.edge.http1_answer import Answer, Request


async def handled(request: Request) -> Answer:
    return Answer(b"handled " + request.body)


def post(body: bytes) -> bytes:
    return b"POST /ask HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def told(*bodies: bytes, closes: bool = False) -> list[Told]:
    return [Told(200, "application/json", body, closes) for body in bodies]


@asynccontextmanager
async def asking(direct: Direct) -> AsyncIterator[tuple[Http1, int]]:
    front = Http1(lambda *_: handled, asyncio.Protocol, 2_000_000, direct=direct)
    server = await asyncio.get_running_loop().create_server(front.connection, "127.0.0.1", 0)
    yield front, server.sockets[0].getsockname()[1]
    server.close()
    await front.stop(0)
    assert not [connection for connection in front.connections if connection.under_way()]


class Taken:
    """Takes every request, and says when there are so many."""

    def __init__(self, wanted: int = 1) -> None:
        self.calls: list[HttpCall] = []
        self._enough, self._wanted = asyncio.Event(), wanted

    def __call__(self, call: HttpCall) -> bool:
        self.calls.append(call)
        if len(self.calls) >= self._wanted:
            self._enough.set()
        return True

    async def all(self) -> list[HttpCall]:
        await asyncio.wait_for(self._enough.wait(), WAIT_S)
        return self.calls


async def test_requests_of_several_connections_are_answered_together() -> None:
    taken = Taken(3)
    async with asking(taken) as (_, port):
        asked = [asyncio.create_task(answers_to(port, [post(b"%d" % n)], 1)) for n in range(3)]
        for call in reversed(await taken.all()):
            call.answer(Answer(b"together " + call.request.body))
        assert await asyncio.gather(*asked) == [told(b"together %d" % n) for n in range(3)]


async def test_what_is_sent_ahead_is_answered_in_order_however_it_is_answered() -> None:
    loop = asyncio.get_running_loop()

    def direct(call: HttpCall) -> bool:
        body = call.request.body
        match int(body) % 5:
            case 0:
                call.answer(Answer(body))
            case 1:
                loop.call_soon(call.answer, Answer(body))
            case 2:
                call.hand_over()
            case 3:
                loop.call_soon(call.hand_over)
            case _:
                return False
        return True

    async with asking(direct) as (_, port):
        answers = await answers_to(port, [b"".join(post(b"%d" % n) for n in range(100))], 100)
    assert answers == told(*(b"%s%d" % (b"" if n % 5 < 2 else b"handled ", n) for n in range(100)))


async def test_many_that_are_answered_at_once_take_no_stack() -> None:
    def direct(call: HttpCall) -> bool:
        call.answer(Answer(call.request.body))
        return True

    async with asking(direct) as (_, port):
        answers = await answers_to(port, [b"".join(post(b"%d" % n) for n in range(500))], 500)
    assert answers == told(*(b"%d" % n for n in range(500)))


async def test_one_connection_is_asked_for_one_request_at_a_time_and_read_no_further() -> None:
    taken = Taken()
    async with asking(taken) as (front, port):
        asked = asyncio.create_task(answers_to(port, [post(b"first"), post(b"x" * 4 * AHEAD_BYTES)], 2))
        (first,) = await taken.all()
        (connection,) = front.connections
        async with asyncio.timeout(WAIT_S):
            while connection._reading:
                await asyncio.sleep(0)
        assert taken.calls == [first]
        first.answer(Answer(b"0"))
        async with asyncio.timeout(WAIT_S):
            while len(taken.calls) < 2:
                await asyncio.sleep(0)
        taken.calls[1].answer(Answer(b"1"))
        assert await asked == told(b"0", b"1")


async def test_who_leaves_is_told_nothing_and_handed_to_nobody() -> None:
    taken = Taken()
    async with asking(taken) as (front, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"a") + post(b"b"))
        (call,) = await taken.all()
        writer.transport.abort()
        async with asyncio.timeout(WAIT_S):
            while not call.ended:
                await asyncio.sleep(0)
        call.answer(Answer(b"too late"))
        call.hand_over()
        assert not front.connections
        assert len(taken.calls) == 1


async def test_only_the_first_of_an_answer_and_a_handing_over_counts() -> None:
    taken = Taken()
    async with asking(taken) as (_, port):
        asked = asyncio.create_task(answers_to(port, [post(b"a")], 1))
        (call,) = await taken.all()
        call.answer(Answer(b"one"))
        call.answer(Answer(b"two"))
        call.hand_over()
        assert await asked == told(b"one")


@pytest.mark.parametrize("way", ["answer", "hand_over"])
async def test_a_server_that_stops_waits_for_what_was_taken(way: str) -> None:
    taken = Taken()
    async with asking(taken) as (front, port):
        asked = asyncio.create_task(answers_to(port, [post(b"a")], 2))
        (call,) = await taken.all()
        stopping = asyncio.create_task(front.stop(WAIT_S))
        while not front.stopping:
            await asyncio.sleep(0)
        if way == "answer":
            call.answer(Answer(b"handled a"))
        else:
            call.hand_over()
        assert await asked == told(b"handled a", closes=True)
        await stopping


async def test_a_server_that_stops_breaks_off_what_takes_too_long() -> None:
    taken = Taken()
    async with asking(taken) as (front, port):
        asked = asyncio.create_task(answers_to(port, [post(b"a")], 1))
        (call,) = await taken.all()
        await front.stop(0)
        assert call.ended
        assert await asked == []
