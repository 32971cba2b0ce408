"""HTTP/1.1 in every form that a request may have, for whom `http1` hands its unusual ones over.

    whole = Whole(find, refuse, body_bytes=16 << 20)
    front = Http1(find, whole.connection, body_bytes=16 << 20)

Bodies in chunks or inflated, heads in pieces, HTTP/1.0, HEAD, `Expect: 100-continue`, requests sent ahead, and all that
must be refused: what is malformed, too large, or not whole in time. llhttp parses, and nothing is lenient.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools
import structlog

from modelog_common.edge.http1 import IDLE_S, end_all
from modelog_common.edge.http1_answer import NO_BODY, Answer, Handle, Request, first_bytes
from modelog_common.edge.http1_head import HEADERS_MOST

HEAD_BYTES = 64 * 1024
# A request is whole within so long of its first byte, and an answer is taken within so long.
PATIENCE_S = 60.0
# How long what still comes of a refused request is read and dropped: who still sends would not see the answer.
LINGER_S = 5.0
AHEAD_MOST = 16
ENCODINGS = ("gzip", "deflate")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FindAny = Callable[[str, str], Handle]
# (status, text) to an answer in the form that callers of this address know.
Refuse = Callable[[int, str], Answer]
log = structlog.get_logger()


class Whole:
    """What the connections of one address share. A handler is cancelled when its caller goes away."""

    def __init__(
        self,
        find: FindAny,
        refuse: Refuse,
        body_bytes: int,
        *,
        patience_s: float = PATIENCE_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self.find, self.refuse, self.body_bytes = find, refuse, body_bytes
        self.patience_s, self.idle_s = patience_s, idle_s
        self.connections: set[WholeConnection] = set()
        self.stopping = False

    def connection(self) -> WholeConnection:
        """The protocol of a connection."""
        return WholeConnection(self)

    async def stop(self, timeout_s: float) -> None:
        """Close what is idle, let the others answer for so long, then break them off."""
        self.stopping = True
        await end_all(self.connections, timeout_s)


class _Refused(Exception):
    """Ends the parsing of a connection."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class _Asked(NamedTuple):
    request: Request
    keeps_alive: bool


class WholeConnection(asyncio.Protocol):
    """One connection: requests are answered in the order in which they came."""

    _transport: asyncio.Transport

    def __init__(self, front: Whole) -> None:
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Asked | Answer] = deque()
        self._parser = httptools.HttpRequestParser(self)
        self._reading = True
        # No more requests are taken, as the last was refused or said so; nothing but the end is awaited.
        self._is_over, self._lingers = False, False
        self._last_s = self._loop.time()
        self._began_s: float | None = None
        self._stuck_s: float | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self._begin()

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._front.connections.add(self)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.connections.discard(self)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._last_s = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _Refused):
                raise
            self._refuse(cause.status, cause.text)
        except httptools.HttpParserUpgrade:
            # The request was answered as what it was; what follows is in a protocol that is not spoken here.
            self._is_over = True
            if self._waiting and isinstance(self._waiting[-1], _Asked):
                self._waiting[-1] = self._waiting[-1]._replace(keeps_alive=False)
        except httptools.HttpParserError as error:
            if not self._is_over:
                self._refuse(400, f"the request is not HTTP/1.1: {error}")
        self._work_on()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._stuck_s = self._loop.time()

    def resume_writing(self) -> None:
        self._stuck_s = None
        self._writable.set()

    def under_way(self) -> asyncio.Task[None] | None:
        """What answers, if anything is answered."""
        return self.task

    def close_if_idle(self) -> None:
        if self.task is None:
            self._transport.close()

    def abort(self) -> None:
        """Break off what is answered."""
        if self.task is not None:
            self.task.cancel()
        self._transport.close()

    # The parser's calls.

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._count, self._head_size = 0, 0
        self._has_head = self._keeps_alive = False
        self._body = bytearray()
        self._inflating: zlib._Decompress | None = None
        self._encoding = ""

    def on_message_begin(self) -> None:
        self._began_s = self._last_s

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._grown(len(url), 414, "address")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count += 1
        self._grown(len(name) + len(value), 431, "head")
        if self._count > HEADERS_MOST:
            raise _Refused(431, f"the request has more than the {HEADERS_MOST} headers that are allowed")
        # What comes after the body is a trailer, of which none is known here.
        if not self._has_head:
            self._headers.setdefault(name.decode("ascii").lower(), value.decode("utf-8", "surrogateescape"))

    def _grown(self, size: int, status: int, what: str) -> None:
        self._head_size += size
        if self._head_size > HEAD_BYTES:
            raise _Refused(status, f"the request's {what} is larger than the {HEAD_BYTES} bytes that are allowed")

    def on_headers_complete(self) -> None:
        self._has_head, headers = True, self._headers
        self._keeps_alive = self._parser.should_keep_alive()
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise _Refused(505, f"HTTP/{version} is not spoken here; send HTTP/1.1")
        if version == "1.1" and "host" not in headers:
            raise _Refused(400, "the request has no header Host")
        if not self._target.isascii() or b"#" in self._target:
            raise _Refused(400, "the request's address must be ASCII without '#'; write other characters as %XX")
        if int(headers.get("content-length") or 0) > self._front.body_bytes:
            raise self._too_large()
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise _Refused(
                501, f"the transfer encoding {headers['transfer-encoding'][:40]!r} is not known; send chunked"
            )
        self._encoding = headers.get("content-encoding", "identity").strip().lower()
        if self._encoding != "identity" and self._encoding not in ENCODINGS:
            raise _Refused(
                415, f"the content encoding {self._encoding[:40]!r} is not known; send {' or '.join(ENCODINGS)}"
            )
        expected = headers.get("expect", "").lower()
        if expected not in ("", "100-continue"):
            raise _Refused(417, f"what is expected, {expected[:40]!r}, is not known; send 100-continue")
        if expected and version == "1.1" and self.task is None and not self._waiting:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._encoding in ENCODINGS and body:
            body = self._inflated(body)
        self._body += body
        if len(self._body) > self._front.body_bytes:
            raise self._too_large()

    def _inflated(self, body: bytes) -> bytes:
        if self._inflating is None:
            # "deflate" is zlib's form; some send it without zlib's head, whose low four bits are 8.
            bare = self._encoding == "deflate" and body[0] & 0xF != 8
            self._inflating = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        try:
            # One byte more than is allowed tells that it is too large, whatever it would come to.
            return self._inflating.decompress(body, self._front.body_bytes - len(self._body) + 1)
        except zlib.error as error:
            raise _Refused(400, f"the body is not {self._encoding}: {error}") from None

    def _too_large(self) -> _Refused:
        return _Refused(413, f"the body is larger than the {self._front.body_bytes} bytes that are allowed")

    def on_message_complete(self) -> None:
        if self._encoding in ENCODINGS and (self._inflating is None or not self._inflating.eof):
            raise _Refused(400, f"the body is not {self._encoding}: it ends too soon")
        target = self._target.decode()
        if "://" in target[:8]:
            # A proxy's form: the address with the server's name.
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, query = target.partition("?")
        verb = self._parser.get_method().decode()
        self._waiting.append(_Asked(Request(verb, path, query, self._headers, bytes(self._body)), self._keeps_alive))
        self._is_over = not self._keeps_alive
        self._began_s = None
        self._begin()

    # Answers.

    def _refuse(self, status: int, text: str) -> None:
        """The last answer: where the next request would begin is not known."""
        self._is_over, self._lingers, self._began_s = True, True, None
        self._waiting.append(self._front.refuse(status, text))

    def _work_on(self) -> None:
        if self._waiting and self.task is None and not self._transport.is_closing():
            self.task = self._loop.create_task(self._answer_all())
        if len(self._waiting) > AHEAD_MOST and self._reading:
            self._reading = False
            self._transport.pause_reading()

    async def _answer_all(self) -> None:
        try:
            while self._waiting and not self._transport.is_closing():
                asked = self._waiting.popleft()
                if isinstance(asked, Answer):
                    self._write(asked, is_last=True, is_head=False)
                    return
                answer = await self._front.find(asked.request.verb, asked.request.path)(asked.request)
                is_last = not asked.keeps_alive or self._front.stopping
                self._write(answer, is_last, asked.request.verb == "HEAD")
                await self._writable.wait()
        except Exception:
            # A handler makes answers of its errors; what it forgot must not leave its caller waiting.
            log.exception("a request could not be answered")
            self._transport.close()
        finally:
            self.task = None
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def _write(self, answer: Answer, is_last: bool, is_head: bool) -> None:
        self._last_s = self._loop.time()
        first = first_bytes(answer, is_last, int(self._last_s))
        bare = is_head or answer.status in NO_BODY
        self._transport.writelines((first,) if bare else (first, answer.body))
        if is_last and self._lingers and self._transport.can_write_eof():
            self._transport.write_eof()
        elif is_last:
            self._transport.close()

    # Time.

    def _look(self) -> None:
        """Now and then: end what takes too long."""
        front, now = self._front, self._loop.time()
        busy = self.task is not None or self._waiting
        is_stuck = self._stuck_s is not None and now - self._stuck_s > front.patience_s
        if is_stuck or (self._lingers and not busy and now - self._last_s > LINGER_S):
            self._transport.abort()
        elif self._began_s is not None and now - self._began_s > front.patience_s:
            self._refuse(408, f"the request was not whole after {front.patience_s:g} s")
            self._work_on()
        elif not busy and self._began_s is None and now - self._last_s > front.idle_s:
            self._transport.close()
        self._timer = self._loop.call_later(min(front.patience_s, front.idle_s, LINGER_S) / 2, self._look)
