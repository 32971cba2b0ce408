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

A plain function may take requests before their handlers (`direct`), and answer them without a task, many at a time.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol, cast

import structlog

from modelog_common.edge.http1_answer import NO_BODY, Answer, Find, Handle, Request, first_bytes
from modelog_common.edge.http1_head import Head, head_of, length_of

HEAD_END = b"\r\n\r\n"
HEAD_BYTES = 8190
# What may have been sent ahead while an answer is made, before we stop reading.
AHEAD_BYTES = 256 * 1024
# As aiohttp has it: longer than any proxy before us waits.
IDLE_S = 3630.0
log = structlog.get_logger()


class Direct(Protocol):
    """What takes requests."""

    def __call__(self, call: HttpCall) -> bool:
        """Take a request and answer or hand it over, now or later; False leaves it to its handler now."""
        ...


class HttpCall:
    """One request that may be answered without a task; `ended` also when its caller has left."""

    __slots__ = ("_connection", "_handle", "ended", "request")

    def __init__(self, connection: Connection, request: Request, handle: Handle) -> None:
        self._connection, self._handle = connection, handle
        self.request = request
        self.ended = False

    def answer(self, answer: Answer) -> None:
        """Send the answer, if the caller still waits."""
        if not self.ended:
            self.ended = True
            self._connection.answered(answer)

    def hand_over(self) -> None:
        """Leave the request to its handler after all, if the caller still waits."""
        if not self.ended:
            self.ended = True
            self._connection.handle(self._handle, self.request)


class Http1:
    """What the connections of one address share. A handler is cancelled when its caller goes away.

    A request that is not whole `patience_s` after its head is unusual, too. `direct` is asked before any handler.
    """

    def __init__(
        self,
        find: Find,
        other: Callable[[], asyncio.Protocol],
        body_bytes: int,
        idle_s: float = IDLE_S,
        patience_s: float = math.inf,
        direct: Direct | None = None,
    ) -> None:
        self.find, self.other, self.body_bytes, self.direct = find, other, body_bytes, direct
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
    """A connection that can be ended."""

    def under_way(self) -> asyncio.Task[None] | None:
        """What ends when no request is answered any more; None when none is."""
        ...

    def close_if_idle(self) -> None: ...

    def abort(self) -> None: ...


async def end_all(connections: Collection[Ending], timeout_s: float) -> None:
    """Close those that are idle, let the others answer for so long, then break them off."""
    for connection in list(connections):
        connection.close_if_idle()
    busy = [task for connection in connections if (task := connection.under_way()) is not None]
    if busy:
        await asyncio.wait(busy, timeout=timeout_s)
    for connection in list(connections):
        connection.abort()
    # What was broken off may have to tidy up.
    await asyncio.gather(*busy, return_exceptions=True)


class _Begun(NamedTuple):
    """A request whose head has come: where the head ends, and how many bytes the whole takes."""

    head: Head
    handle: Handle
    end: int
    size: int


class Connection(asyncio.Protocol):
    """One connection, while it asks for nothing but what is answered here: one request after the other."""

    _transport: asyncio.Transport

    def __init__(self, front: Http1) -> None:
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._came = bytearray()
        # The request that is read, when its head has come.
        self._begun: _Begun | None = None
        self._writable, self._reading = True, True
        self._last_s = self._loop.time()
        self._began_s = math.inf
        self._idle: asyncio.TimerHandle | None = None
        # What answers: a task, or who took the request, while it is asked and after.
        self._task: asyncio.Task[None] | None = None
        self._call: HttpCall | None = None
        self._is_asking = False
        self._quiet = asyncio.Event()

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
        self._begun = None
        self._break_off()

    def data_received(self, data: bytes) -> None:
        self._came += data
        self._last_s = self._loop.time()
        if not self._is_busy:
            self._go_on()
        elif len(self._came) > AHEAD_BYTES and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if not self._is_busy:
            self._go_on()

    def under_way(self) -> asyncio.Task[None] | None:
        """What ends when no request is answered any more; None when none is."""
        return self._loop.create_task(self._until_quiet()) if self._is_busy else None

    def close_if_idle(self) -> None:
        if not self._is_busy:
            self._transport.close()

    def abort(self) -> None:
        """Break off what is answered."""
        self._break_off()
        self._transport.close()

    @property
    def _is_busy(self) -> bool:
        return self._task is not None or self._call is not None

    def _break_off(self) -> None:
        if self._call is not None:
            self._call.ended = True
            self._call = None
            self._quiet.set()
        if self._task is not None:
            self._task.cancel()

    async def _until_quiet(self) -> None:
        while self._call is not None:
            self._quiet.clear()
            await self._quiet.wait()
        if self._task is not None:
            await asyncio.wait([self._task])

    def _look_idle(self) -> None:
        now = self._loop.time()
        left_s = self._last_s + self._front.idle_s - now
        if not self._is_busy and left_s <= 0:
            self._transport.close()
        elif not self._writable and now - self._last_s > self._front.patience_s:
            self._transport.abort()
        elif self._begun is not None and now - self._began_s > self._front.patience_s:
            self._hand_over()
        else:
            self._idle = self._loop.call_later(min(max(left_s, 1.0), self._front.patience_s), self._look_idle)

    def _let_go(self) -> None:
        self._front.connections.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def _go_on(self) -> None:
        """Answer what came, until an answer must be waited for."""
        while self._next():
            pass

    def _next(self) -> bool:
        """Begin to answer the next request, when all of it is there; whether that is done already."""
        if not self._came or not self._writable or self._transport.is_closing():
            return False
        begun = self._begun
        if begun is None:
            end = self._came.find(HEAD_END, 0, HEAD_BYTES) + len(HEAD_END)
            head = head_of(bytes(self._came[:end])) if end >= len(HEAD_END) else None
            length = length_of(head, self._front.body_bytes) if head is not None else None
            handle = self._front.find(head.verb, head.path) if head is not None else None
            if head is None or length is None or handle is None:
                self._hand_over()
                return False
            begun, self._began_s = _Begun(head, handle, end, end + length), self._last_s
        if len(self._came) < begun.size:
            self._begun = begun
            return False
        self._begun = None
        head, body = begun.head, bytes(self._came[begun.end : begun.size])
        del self._came[: begun.size]
        request = Request(head.verb, head.path, head.query, head.headers, body)
        direct = self._front.direct
        if direct is None or not self._taken(direct, request, begun.handle):
            self.handle(begun.handle, request)
        return not self._is_busy

    def _taken(self, direct: Direct, request: Request, handle: Handle) -> bool:
        call = self._call = HttpCall(self, request, handle)
        self._is_asking = True
        taken = direct(call)
        self._is_asking = False
        if not taken:
            call.ended, self._call = True, None
        return taken

    def answered(self, answer: Answer) -> None:
        """What a call was answered."""
        self._call = None
        self._write(answer)
        self._quiet.set()
        if not self._is_asking:
            self._read_on()
            self._go_on()

    def handle(self, handle: Handle, request: Request) -> None:
        """Answer by a handler, in a task."""
        self._call = None
        self._task = self._loop.create_task(self._answer(handle, request))
        self._quiet.set()

    async def _answer(self, handle: Handle, request: Request) -> None:
        try:
            answer = await handle(request)
        except Exception:
            # A handler makes answers of its errors; what it forgot must not leave its caller waiting.
            log.exception("a request could not be answered", path=request.path)
            self._transport.close()
            return
        finally:
            self._task = None
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
