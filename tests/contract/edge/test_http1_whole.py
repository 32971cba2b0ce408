"""HTTP/1.1 in every form by our own protocol: what is unusual is answered, what is wrong is refused and told why."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.edge.http1 import Http1
from modelog_common.edge.http1_answer import Answer, Handle, Request
from modelog_common.edge.http1_whole import HEAD_BYTES, Whole

BODY_BYTES = 1000
WAIT_S = 150.0
HOST = b"Host: x\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;n=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: t\r\n\r\n"
)


@dataclass
class Served:
    """Both protocols as serving puts them together; `started` and `cancelled` tell of requests that hang."""

    whole: Whole
    http1: Http1
    port: int = 0
    asked: list[str] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def find(self, verb: str, path: str) -> Handle:
        return {"/hang": self.hang, "/broken": self.broken, "/large": self.large}.get(path, self.echo)

    async def echo(self, request: Request) -> Answer:
        self.asked.append(request.path)
        return Answer(f"{request.verb} {request.path} {request.query} ".encode() + request.body)

    async def hang(self, request: Request) -> Answer:
        self.started.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await self.echo(request)

    async def large(self, request: Request) -> Answer:
        self.asked.append(request.path)
        return Answer(b"x" * 1_000_000)

    async def broken(self, request: Request) -> Answer:
        raise RuntimeError("broken")


def refuse(status: int, text: str) -> Answer:
    return Answer(text.encode(), status)


@asynccontextmanager
async def served(patience_s: float = 3600.0, idle_s: float = 3600.0) -> AsyncIterator[Served]:
    whole = Whole(lambda verb, path: made.find(verb, path), refuse, BODY_BYTES, patience_s=patience_s, idle_s=idle_s)
    front = Http1(
        lambda verb, path: made.find(verb, path) if verb != "HEAD" else None,
        whole.connection, BODY_BYTES, idle_s=idle_s, patience_s=patience_s,
    )  # fmt: skip
    made = Served(whole, front)
    server = await asyncio.get_running_loop().create_server(front.connection, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await front.stop(1.0)
    await whole.stop(1.0)


async def told(port: int, *parts: bytes) -> bytes:
    """Everything that is answered until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(WAIT_S):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            return await reader.read()
    finally:
        writer.close()


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def coded(encoding: str, body: bytes, length: int | None = None) -> bytes:
    head = (
        f"POST /a HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    return head.encode() + body


BARE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
UNUSUAL: list[tuple[str, bytes, list[int], bytes]] = [
    ("chunks, with an extension and a trailer", CHUNKED, [200], b"POST /a  abcde"),
    ("gzip", coded("gzip", gzip.compress(b"hello")), [200], b"POST /a  hello"),
    ("deflate", coded("deflate", zlib.compress(b"hello")), [200], b"POST /a  hello"),
    ("deflate without zlib's head", coded("Deflate", BARE.compress(b"hello") + BARE.flush()), [200], b"POST /a  hello"),
    ("an address with the server's name", b"GET http://x/a?b=c HTTP/1.1\r\n" + HOST + b"\r\n", [200], b"GET /a b=c "),
    ("a head of 20 KB", b"GET /a HTTP/1.1\r\nX-A: " + b"a" * 20_000 + b"\r\n" + HOST + b"\r\n", [200], b"GET /a  "),
    (
        "what is waited for",
        b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + HOST + b"\r\nhi",
        [100, 200],
        b"POST /a  hi",
    ),
]
WRONG: list[tuple[str, bytes, int, bytes]] = [
    ("no host", b"GET /a HTTP/1.1\r\n\r\n", 400, b"the request has no header Host"),
    ("another protocol", b"\x16\x03\x01\x02\r\n\r\n", 400, b"the request is not HTTP/1.1: Invalid method"),
    ("another version", b"GET /a HTTP/2.0\r\n\r\n", 505, b"HTTP/2.0 is not spoken here"),
    ("two lengths", b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, b"Duplicate"),
    (
        "a length and chunks",
        b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        b"can't be present with Content-Length",
    ),
    ("no number", b"POST /a HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400, b"Content-Length"),
    ("no chunk", CHUNKED.replace(b"3;n=1", b"xyz"), 400, b"chunk size"),
    ("too long", b"POST /a HTTP/1.1\r\nContent-Length: 1001\r\n" + HOST + b"\r\n", 413, b"larger than the 1000 bytes"),
    (
        "too long in chunks",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1F4\r\n" + b"a" * 500 + b"\r\n"
        b"1F5\r\n" + b"a" * 501 + b"\r\n",
        413,
        b"larger than the 1000 bytes",
    ),
    (
        "too long when inflated",
        coded("gzip", gzip.compress(bytes(10_000_000))[:900], 900),
        413,
        b"larger than the 1000",
    ),
    ("not gzip", coded("gzip", b"hello"), 400, b"the body is not gzip: Error -3"),
    ("half of gzip", coded("gzip", gzip.compress(b"hello")[:-9]), 400, b"the body is not gzip: it ends too soon"),
    ("another encoding", coded("br", b"hello"), 415, b"'br' is not known; send gzip or deflate"),
    (
        "another transfer encoding",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        501,
        b"'gzip, chunked' is not known",
    ),
    (
        "another expectation",
        b"POST /a HTTP/1.1\r\nExpect: tea\r\nContent-Length: 1\r\n" + HOST + b"\r\n",
        417,
        b"'tea'",
    ),
    ("a long address", b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, b"address is larger"),
    ("a long head", b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES + b"\r\n" + HOST + b"\r\n", 431, b"head is larger"),
    ("many headers", b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 101 + HOST + b"\r\n", 431, b"more than the 100 headers"),
    ("not ASCII", b"GET /caf\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n", 400, b""),
]


@pytest.mark.parametrize(("data", "wanted", "text"), [u[1:] for u in UNUSUAL], ids=[u[0] for u in UNUSUAL])
async def test_what_is_unusual_is_answered(data: bytes, wanted: list[int], text: bytes) -> None:
    async with served() as here:
        for parts in ([data + LAST], [data[:7], data[7:-4], data[-4:], LAST]):
            answers = await told(here.port, *parts)
            assert statuses(answers) == [*wanted, 200], answers
            assert text in answers
            assert b"Connection: close" in answers.rpartition(b"HTTP/1.1")[2]


@pytest.mark.parametrize(("data", "status", "text"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
async def test_what_is_wrong_is_refused(data: bytes, status: int, text: bytes) -> None:
    """Also after a request that was not: that one is answered first. What follows is not looked at."""
    async with served() as here:
        for before in (b"", b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n"):
            answers = await told(here.port, before + data + LAST)
            assert statuses(answers) == [200] * bool(before) + [status], answers
            assert text in answers
            assert b"Connection: close" in answers
        assert set(here.asked) == {"/first"}


async def test_the_answer_to_head_has_no_body() -> None:
    async with served() as here:
        answers = await told(here.port, b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", LAST)
    assert b"Content-Length: 9\r\n" in answers
    assert b"HEAD /a" not in answers
    assert statuses(answers) == [200, 200]


async def test_http_1_0_and_an_upgrade_end_with_their_answer() -> None:
    async with served() as here:
        assert statuses(await told(here.port, b"GET /a HTTP/1.0\r\n\r\n" + LAST)) == [200]
        upgrade = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        assert statuses(await told(here.port, upgrade + b"PRI * HTTP/2.0")) == [200]
        assert here.asked == ["/a", "/a"]


async def test_chunks_split_at_every_byte() -> None:
    async with served() as here:
        for at in range(1, len(CHUNKED)):
            answers = await told(here.port, CHUNKED[:at], CHUNKED[at:] + LAST)
            assert statuses(answers) == [200, 200], at
            assert b"POST /a  abcde" in answers


async def test_many_requests_sent_ahead_are_answered_in_order() -> None:
    async with served() as here:
        ahead = b"".join(
            b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % n for n in range(200)
        )
        assert statuses(await told(here.port, ahead + LAST)) == [200] * 201
        assert here.asked == [*(f"/{n}" for n in range(200)), "/last"]


@pytest.mark.parametrize(
    "data",
    [b"GET /a HT", b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", CHUNKED[:-9]],
    ids=["head", "body", "chunks"],
)
async def test_what_is_not_whole_in_time_is_refused(data: bytes) -> None:
    """A byte now and then does not help."""
    async with served(patience_s=0.1) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        async with asyncio.timeout(WAIT_S):
            writer.write(data)
            assert (await reader.readline()) == b"HTTP/1.1 408 Request Timeout\r\n"
            assert (await reader.read()).endswith(b"the request was not whole after 0.1 s")
        writer.close()
        assert not here.asked


async def test_who_goes_away_takes_the_call_along_and_leaves_nothing() -> None:
    async with served() as here:
        _, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(CHUNKED.replace(b"/a", b"/hang"))
        async with asyncio.timeout(WAIT_S):
            await here.started.wait()
            writer.close()
            await here.cancelled.wait()
            for _ in range(2):
                _, writer = await asyncio.open_connection("127.0.0.1", here.port)
                writer.write(CHUNKED[:-20])
                await writer.drain()
                writer.close()
            while here.whole.connections or here.http1.connections:
                await asyncio.sleep(0.01)


async def test_who_does_not_read_is_not_answered_for_ever() -> None:
    async with served(patience_s=0.2) as here:
        _, writer = await asyncio.open_connection("127.0.0.1", here.port, limit=1024)
        async with asyncio.timeout(WAIT_S):
            writer.write(CHUNKED.replace(b"/a", b"/large") * 100)
            while not here.asked or here.whole.connections:
                await asyncio.sleep(0.01)
        assert len(here.asked) < 100
        writer.close()


async def test_what_a_handler_forgot_closes_the_connection() -> None:
    async with served() as here:
        assert await told(here.port, CHUNKED.replace(b"/a", b"/broken")) == b""


async def test_what_is_idle_for_long_is_closed() -> None:
    async with served(idle_s=1.0) as here:
        assert statuses(await told(here.port, CHUNKED)) == [200]


async def test_a_stop_lets_what_is_answered_end() -> None:
    async with served() as here:
        asking = asyncio.create_task(told(here.port, CHUNKED.replace(b"/a", b"/hang") + CHUNKED))
        async with asyncio.timeout(WAIT_S):
            await here.started.wait()
            stopping = asyncio.create_task(here.whole.stop(WAIT_S))
            await asyncio.sleep(0)
            here.let_go.set()
            answers = await asking
            await stopping
        assert statuses(answers) == [200]
        assert b"Connection: close" in answers


async def test_a_stop_breaks_off_what_takes_too_long() -> None:
    async with served() as here:
        asking = asyncio.create_task(told(here.port, CHUNKED.replace(b"/a", b"/hang")))
        async with asyncio.timeout(WAIT_S):
            await here.started.wait()
            await here.whole.stop(0.01)
            assert await asking == b""
        assert here.cancelled.is_set()


pieces = st.sampled_from(
    [
        CHUNKED, CHUNKED[:40], b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n",
        coded("gzip", gzip.compress(b"abc")), b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"\r\n", b"GET http://",
        b"POST / HTTP/1.0\r\n", b"Content-Length: 3\r\n\r\nabc", b"Expect: 100-continue\r\n", b"\x00\xff",
        b"Host: y\r\n",
    ]
)  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.lists(pieces, min_size=1, max_size=5), st.integers(0, 300)), min_size=8, max_size=8))
def test_any_bytes_are_answered_alike_however_they_are_cut(tried: list[tuple[list[bytes], int]]) -> None:
    """And they end: what is in the middle of a request is ended by its time."""

    async def compare() -> None:
        async with served(patience_s=0.3) as here:

            async def both(parts: list[bytes], at: int) -> None:
                data = b"".join(parts) + LAST
                whole, cut = await asyncio.gather(told(here.port, data), told(here.port, data[:at], data[at:]))
                last = {*statuses(whole)[-1:], *statuses(cut)[-1:]}
                # On a machine that stands still for a moment, the time of one is over and that of the other not.
                assert len(last) == 1 or 408 in last, (data, at, whole, cut)

            await asyncio.gather(*(both(*one) for one in tried))

    asyncio.run(compare())
