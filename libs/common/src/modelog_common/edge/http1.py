"""HTTP/1.1 for what is asked very often and in its plainest form: whole requests, whole answers, nothing else.

    front = Http1(find, other, body_bytes=8 << 20)
    server = await loop.create_server(front.connection, host, port)
    ...
    server.close()
    await front.stop(timeout_s=1.0)

`find(verb, path)` gives the handler of what is answered here. At the first request that is not - another address, a
body without a length, an upgrade, a head in pieces, anything malformed - the connection goes to the protocol that
`other()` makes, for good, with every byte that was not answered yet. So what is unusual has one implementation, and it
is not here.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Protocol, cast

import httptools
import structlog

HEAD_END = b"\r\n\r\n"
HEAD_BYTES = 8190
HEADERS_MOST = 100
# What may have been sent ahead while an answer is made, before we stop reading.
AHEAD_BYTES = 256 * 1024
# As aiohttp has it: longer than any proxy before us waits.
IDLE_S = 3630.0
# With one of these a request is not plain.
NOT_PLAIN = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade", "trailer", "te"})
NO_BODY = frozenset({204, 304})
log = structlog.get_logger()


class Request(NamedTuple):
    """`headers` by their names in lower case; of several with one name, the first. `query` is as it was sent."""

    verb: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Answer:
    """`headers` are those besides Content-Type, Content-Length, Date and Connection."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Handle = Callable[[Request], Awaitable[Answer]]
Find = Callable[[str, str], Handle | None]


class Http1:
    """What the connections of one address share. A handler is cancelled when its caller goes away.

    A request that is not whole `patience_s` after its head is unusual, too.
    """

    def __init__(
        self,
        find: Find,
        other: Callable[[], asyncio.Protocol],
        body_bytes: int,
        idle_s: float = IDLE_S,
        patience_s: float = math.inf,
    ) -> None:
        self.find, self.other, self.body_bytes = find, other, body_bytes
        self.idle_s, self.patience_s = idle_s, patience_s
        self.connections: set[Connection] = set()
        self.stopping = False

    def connection(self) -> Connection:
        """The protocol of a new connection."""
        return Connection(self)

    async def stop(self, timeout_s: float) -> None:
        """Close what is idle, let the others answer for so long, then break them off."""
        self.stopping = True
        await end_all(self.connections, timeout_s)


class Ending(Protocol):
    """A connection that can be ended; `task` is what answers, if anything is answered."""

    task: asyncio.Task[None] | None

    def close_if_idle(self) -> None: ...

    def abort(self) -> None: ...


async def end_all(connections: Collection[Ending], timeout_s: float) -> None:
    """Close those that are idle, let the others answer for so long, then break them off."""
    for connection in list(connections):
        connection.close_if_idle()
    busy = [connection.task for connection in connections if connection.task is not None]
    if busy:
        await asyncio.wait(busy, timeout=timeout_s)
    for connection in list(connections):
        connection.abort()
    # What was broken off may have to tidy up.
    await asyncio.gather(*busy, return_exceptions=True)


class Connection(asyncio.Protocol):
    """One connection, while it asks for nothing but what is answered here: one request after the other."""

    _transport: asyncio.Transport

    def __init__(self, front: Http1) -> None:
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._came = bytearray()
        # The request that is read, and how many bytes it takes, when its head has come.
        self._head: _Head | None = None
        self._size = 0
        self._writable, self._reading = True, True
        self._last_s = self._loop.time()
        self._began_s = math.inf
        self._idle: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._front.connections.add(self)
        self._idle = self._loop.call_later(min(self._front.idle_s, self._front.patience_s), self._look_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        self._came.clear()
        self._head = None
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self._came += data
        self._last_s = self._loop.time()
        if self.task is None:
            self._go_on()
        elif len(self._came) > AHEAD_BYTES and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self.task is None:
            self._go_on()

    def close_if_idle(self) -> None:
        if self.task is None:
            self._transport.close()

    def abort(self) -> None:
        """Break off what is answered."""
        if self.task is not None:
            self.task.cancel()
        self._transport.close()

    def _look_idle(self) -> None:
        now = self._loop.time()
        left_s = self._last_s + self._front.idle_s - now
        if self.task is None and left_s <= 0:
            self._transport.close()
        elif not self._writable and now - self._last_s > self._front.patience_s:
            self._transport.abort()
        elif self._head is not None and now - self._began_s > self._front.patience_s:
            self._hand_over()
        else:
            self._idle = self._loop.call_later(min(max(left_s, 1.0), self._front.patience_s), self._look_idle)

    def _let_go(self) -> None:
        self._front.connections.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def _go_on(self) -> None:
        """Answer the next request, when all of it is there and the caller takes answers."""
        if not self._came or not self._writable or self._transport.is_closing():
            return
        if self._head is None:
            end = self._came.find(HEAD_END, 0, HEAD_BYTES) + len(HEAD_END)
            head = _head_of(bytes(self._came[:end])) if end >= len(HEAD_END) else None
            length = _length_of(head, self._front.body_bytes) if head is not None else None
            handle = self._front.find(head.verb, head.path) if head is not None else None
            if head is None or length is None or handle is None:
                self._hand_over()
                return
            head.handle, head.end = handle, end
            self._head, self._size, self._began_s = head, end + length, self._last_s
        if len(self._came) < self._size:
            return
        head, self._head = self._head, None
        body = bytes(self._came[head.end : self._size])
        del self._came[: self._size]
        self.task = self._loop.create_task(self._answer(head, body))

    async def _answer(self, head: _Head, body: bytes) -> None:
        try:
            answer = await head.handle(Request(head.verb, head.path, head.query, head.headers, body))
        except Exception:
            # A handler makes answers of its errors; what it forgot must not leave its caller waiting.
            log.exception("a request could not be answered", path=head.path)
            self._transport.close()
            return
        finally:
            self.task = None
        self._write(answer)
        self._read_on()
        self._go_on()

    def _write(self, answer: Answer) -> None:
        last = self._front.stopping
        self._last_s = self._loop.time()
        first = first_bytes(answer, last, int(self._last_s))
        if answer.status in NO_BODY:
            self._transport.write(first)
        else:
            self._transport.writelines((first, answer.body))
        if last:
            self._transport.close()

    def _read_on(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def _hand_over(self) -> None:
        """Everything that was not answered, to the other protocol."""
        self._let_go()
        self._read_on()
        other = self._front.other()
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        other.data_received(bytes(self._came))
        self._came.clear()


class _Head:
    """What httptools tells of the head of a request."""

    handle: Handle
    end: int

    def __init__(self) -> None:
        self.verb, self.target = "", b""
        self.path, self.query = "", ""
        self.headers: dict[str, str] = {}
        self.count = 0
        self.ended = 0
        self.keeps_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.count += 1
        self.headers.setdefault(name.decode("ascii").lower(), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        self.ended += 1
        # When the request has ended the parser has forgotten it.
        self.keeps_alive = self.parser.should_keep_alive()


def _head_of(data: bytes) -> _Head | None:
    """The head of a plain request; None for any other."""
    head = _Head()
    try:
        head.parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if head.ended != 1 or head.parser.get_http_version() != "1.1" or not head.keeps_alive:
        return None
    if head.count > HEADERS_MOST or "host" not in head.headers or not NOT_PLAIN.isdisjoint(head.headers):
        return None
    # Of the other forms of an address, a proxy's and that of OPTIONS, none is plain.
    if not head.target.startswith(b"/") or not head.target.isascii() or b"#" in head.target:
        return None
    head.verb = head.parser.get_method().decode()
    # They hold each other.
    del head.parser
    head.path, _, head.query = head.target.decode().partition("?")
    return head


def _length_of(head: _Head, most: int) -> int | None:
    """The length of the body; None when it is too long. That it is a number httptools has seen to."""
    length = int(head.headers.get("content-length") or 0)
    return length if length <= most else None


def first_bytes(answer: Answer, is_last: bool, second: int) -> bytes:
    """Everything before the body. `second` is that of the loop's clock: within one, the date stays."""
    more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    if more.count("\n") != len(answer.headers) or more.count("\r") != len(answer.headers):
        raise ValueError(f"a header of an answer has a line break: {answer.headers}")
    length = "" if answer.status in NO_BODY else f"Content-Length: {len(answer.body)}\r\n"
    closing = "Connection: close\r\n" if is_last else ""
    start = _start_of(answer.status, answer.content_type)
    return f"{start}{length}Date: {_date_of(second)}\r\n{closing}{more}\r\n".encode("utf-8", "surrogateescape")


@lru_cache(maxsize=200)
def _start_of(status: int, content_type: str) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"


@lru_cache(maxsize=1)
def _date_of(_second: int) -> str:
    return formatdate(usegmt=True)
