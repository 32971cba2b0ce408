"""HTTP/1.1 by our own protocol: whatever is sent, the answers are those that aiohttp gives."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from http1_pair import BODY_BYTES, WAIT_S, Pair, answers_to, pair
from modelog_common.edge.http1 import AHEAD_BYTES
from modelog_common.edge.http1_answer import Answer, first_bytes

HOST = b"Host: x\r\n"
POST = b"POST /echo?a=1&b=%20 HTTP/1.1\r\nHost: x\r\nX-Told: caf\xc3\xa9\r\nContent-Length: 11\r\n\r\nhello world"
GET = b"GET /echo?q=1 HTTP/1.1\r\nHost: x\r\n\r\n"
OTHER = b"PUT /other HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


@pytest.fixture
async def both() -> AsyncIterator[Pair]:
    async with pair() as made:
        yield made


async def same(both: Pair, data: bytes | list[bytes], expected: int, first: bytes = b"") -> list[int]:
    """The statuses of the answers, which are the same from both."""
    parts = [data] if isinstance(data, bytes) else data
    ours, theirs = await asyncio.gather(
        answers_to(both.front, parts, expected, first), answers_to(both.plain, parts, expected, first)
    )
    assert ours == theirs
    return [told.status for told in ours]


async def test_what_is_plain_is_answered_by_us(both: Pair) -> None:
    assert await same(both, POST + GET + POST, 3) == [200, 200, 200]
    assert both.by_us == ["/echo"] * 3


@pytest.mark.parametrize("data", [POST, GET + POST, POST + OTHER + POST], ids=["one", "two", "handed over between"])
async def test_split_at_every_byte(both: Pair, data: bytes) -> None:
    count = data.count(b" HTTP/1.1")
    for at in range(1, len(data)):
        assert await same(both, [data[:at], data[at:]], count) == [200] * count


async def test_byte_by_byte(both: Pair) -> None:
    data = POST + GET + OTHER
    assert await same(both, [data[n : n + 1] for n in range(len(data))], 3) == [200] * 3


async def test_a_hundred_requests_sent_ahead_are_answered_in_order(both: Pair) -> None:
    requests = [b"GET /echo?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(100)]
    told = await answers_to(both.front, [b"".join(requests)], 100)
    assert [one.body.split()[1] for one in told] == [b"n=%d" % n for n in range(100)]


async def test_what_follows_what_was_handed_over_is_answered_too(both: Pair) -> None:
    assert await same(both, POST + OTHER + POST + CHUNKED + GET, 5) == [200] * 5
    assert both.by_us == ["/echo"]


UNUSUAL = {
    "another address": b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    "another method": b"DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD": b"HEAD /other HTTP/1.1\r\nHost: x\r\n\r\n",
    "chunked": CHUNKED,
    "HTTP/1.0": b"GET /echo HTTP/1.0\r\nHost: x\r\n\r\n",
    "HTTP/1.0 kept": b"GET /echo HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    "closing": b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "closing in the end": b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
    "closing among others": b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: x-told, close\r\n\r\n",
    "no host": b"GET /echo HTTP/1.1\r\n\r\n",
    "upgrade": b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "compressed": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: deflate\r\nContent-Length: 2\r\n\r\nab",
    "two lengths": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": CHUNKED.replace(b"Host: x", b"Host: x\r\nContent-Length: 3"),
    "negative length": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "no number": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: one\r\n\r\n",
    "bare line feeds": b"GET /echo HTTP/1.1\nHost: x\n\n" + GET,
    "folded header": b"GET /echo HTTP/1.1\r\nHost: x\r\nX-Told: a\r\n b\r\n\r\n",
    "space before colon": b"GET /echo HTTP/1.1\r\nHost : x\r\n\r\n",
    "null in header": b"GET /echo HTTP/1.1\r\nHost: x\r\nX-Told: a\x00b\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "absolute address": b"GET http://x/echo HTTP/1.1\r\nHost: x\r\n\r\n",
    "fragment": b"GET /echo?a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "address not ASCII": b"GET /echo?a=\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": b"GET /echo HTTP/1.1\r\nHost: x\r\nX-Told: " + b"a" * 9000 + b"\r\n\r\n",
    "many headers": b"GET /echo HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    "empty lines ahead": b"\r\n\r\n" + GET,
    "body too large": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES + 1)
    + b"a" * (BODY_BYTES + 1),
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
async def test_what_is_unusual_is_answered_as_before(both: Pair, data: bytes) -> None:
    await same(both, data, 1)
    await same(both, data, 1, first=POST)
    assert both.by_us == ["/echo"]


async def test_a_body_of_the_greatest_size_is_taken(both: Pair) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
    body = b"a" * BODY_BYTES
    parts = [head, *(body[n : n + 1460] for n in range(0, BODY_BYTES, 1460))]
    assert await same(both, parts, 1) == [200]
    assert both.by_us == ["/echo"]


async def test_expect_continue_is_answered_as_before(both: Pair) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    assert await same(both, [head, b"abc"], 2) == [100, 200]


async def test_who_goes_away_takes_the_call_along(both: Pair) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", both.front)
    writer.write(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(WAIT_S):
        await both.started.wait()
        writer.close()
        await both.cancelled.wait()
        while both.http1.connections:
            await asyncio.sleep(0.01)


async def test_who_goes_away_in_the_middle_of_a_request_leaves_nothing(both: Pair) -> None:
    for at in (10, len(POST) - 3):
        _, writer = await asyncio.open_connection("127.0.0.1", both.front)
        writer.write(POST[:at])
        await writer.drain()
        writer.close()
    async with asyncio.timeout(WAIT_S):
        await same(both, GET, 1)
        while both.http1.connections:
            await asyncio.sleep(0.01)
    assert both.by_us == ["/echo"]


async def test_who_sends_ahead_without_end_is_not_read_for_ever(both: Pair) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", both.front)
    writer.write(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(WAIT_S):
        await both.started.wait()
        (connection,) = both.http1.connections
        while connection._reading:
            writer.write(GET * 100)
            await asyncio.sleep(0)
        assert len(connection._came) < 3 * AHEAD_BYTES
        both.let_go.set()
        while not connection._reading:
            await asyncio.sleep(0.01)
    writer.close()


async def test_who_does_not_read_is_not_answered_for_ever(both: Pair) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", both.front, limit=1024)
    requests = 200
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * requests)
    async with asyncio.timeout(WAIT_S):
        while not both.by_us:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(both.by_us) < requests / 2
        got = 0
        while got < requests * 1_000_000:
            got += len(await reader.read(1 << 20))
    assert len(both.by_us) == requests
    writer.close()


async def test_what_a_handler_forgot_closes_the_connection(both: Pair) -> None:
    assert await answers_to(both.front, [b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n"], 1) == []


async def test_what_is_idle_for_long_is_closed() -> None:
    async with pair(idle_s=0.05) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.front)
        async with asyncio.timeout(WAIT_S):
            assert await reader.read() == b""
        writer.close()


async def test_a_stop_closes_what_is_idle_and_lets_the_others_answer() -> None:
    async with pair() as both:
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", both.front)
        busy, busy_writer = await asyncio.open_connection("127.0.0.1", both.front)
        idle_writer.write(GET)
        busy_writer.write(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
        async with asyncio.timeout(WAIT_S):
            assert (await idle.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            await both.started.wait()
            stopping = asyncio.create_task(both.http1.stop(WAIT_S))
            await idle.read()
            both.let_go.set()
            told = await busy.read()
            await stopping
        assert b"Connection: close\r\n" in told
        assert told.endswith(b'"let go"')
        for writer in (idle_writer, busy_writer):
            writer.close()


async def test_a_stop_breaks_off_what_takes_too_long() -> None:
    async with pair() as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.front)
        writer.write(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WAIT_S):
            await both.started.wait()
            await both.http1.stop(0.01)
            assert await reader.read() == b""
        assert both.cancelled.is_set()
        writer.close()


def test_an_answer_has_no_line_break_in_a_header_and_no_body_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="line break"):
        first_bytes(Answer(b"", headers={"X-Told": "a\r\nSet-Cookie: b"}), False, 0)
    assert b"Content-Length" not in first_bytes(Answer(b"", 204), False, 0)
