"""One unary call, as its caller holds it: what grpc.aio's has; sent again while nobody could answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc

from modelog_common.edge.messages import PREFIX_BYTES
from modelog_common.edge.status import OK, Code, Metadata, Status
from modelog_common.grpc_client.connection import Connection
from modelog_common.grpc_client.exchange import Exchange
from modelog_common.grpc_client.fields import metadata_block, timeout_text
from modelog_common.grpc_client.link import Link, spread

LATE = Status(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
CANCELLED = Status(Code.CANCELLED, "Locally cancelled by application!")
UNPARSED = Status(Code.INTERNAL, "the answer cannot be parsed")
# Proposal A6.
ATTEMPTS_KEY, PUSHBACK_KEY = "grpc-previous-rpc-attempts", "grpc-retry-pushback-ms"
# How the call ended -> what is raised for it, or None.
Ended = Callable[[grpc.aio.AioRpcError | None], BaseException | None]


@dataclass(frozen=True)
class Retries:
    """A call that ends UNAVAILABLE before an answer began is sent `attempts` times (proposal A6, "retryPolicy")."""

    attempts: int = 1
    first_pause_s: float = 0.3
    longest_pause_s: float = 2.0
    factor: float = 2.0
    jitter: float = 0.2

    def pause_s(self, sent: int) -> float:
        """How long to wait after it was sent so many times."""
        pause = min(self.first_pause_s * self.factor ** (sent - 1), self.longest_pause_s)
        return spread(pause, self.jitter)


class Asked(NamedTuple):
    """A request: the header block but for deadline and retries, the message with its prefix, how to read the answer."""

    block: bytes
    data: bytes
    parse: Callable[[bytes], Any] | None
    retries: Retries
    waits_for_ready: bool = False


class UnaryCall(grpc.aio.UnaryUnaryCall[Any, Any]):
    """Is sent when it is made; `ended` is told once how it ended, and may say what is raised instead of AioRpcError."""

    def __init__(self, link: Link, asked: Asked, timeout_s: float | None, ended: Ended | None = None) -> None:
        if link.closed:
            raise grpc.aio.UsageError("Channel is closed.")
        loop = asyncio.get_running_loop()
        self._link, self._asked, self._loop, self._ended = link, asked, loop, ended
        self._future: asyncio.Future[None] = loop.create_future()
        self._status: Status | None = None
        self._error: BaseException | None = None
        self._answer: Any = None
        self._initial: Metadata = ()
        self._exchange: Exchange | None = None
        self._connection: Connection | None = None
        self._sent = 0
        self._passed_over = False
        self._again: asyncio.TimerHandle | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._sent_at = 0.0
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_its_way: asyncio.Future[None] | None = None
        size, limit = len(asked.data) - PREFIX_BYTES, link.limits.message_bytes
        if size > limit:
            self._end(Status(Code.RESOURCE_EXHAUSTED, f"sent message larger than max ({size} vs. {limit})"))
            return
        if timeout_s is not None:
            self._deadline = loop.time() + timeout_s
            if timeout_s <= 0:
                self._end(LATE)
                return
            self._timer = loop.call_later(timeout_s, self._late)
        link.send(self)

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            yield from self._future
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self._error is not None:
            raise self._error
        return self._answer

    # What grpc.aio's calls have besides.

    def cancel(self) -> bool:
        """Give the call up; False when it has ended."""
        if self._status is not None:
            return False
        self._stop()
        self._end(CANCELLED)
        return True

    def cancelled(self) -> bool:
        return self._status is CANCELLED

    def done(self) -> bool:
        return self._status is not None

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - self._loop.time(), 0.0)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self._status is not None:
            callback(self)
        else:
            self._callbacks.append(callback)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        await self._over()
        return grpc.aio.Metadata.from_tuple(self._initial)

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata.from_tuple((await self._over()).metadata)

    async def code(self) -> grpc.StatusCode:
        return (await self._over()).code

    async def details(self) -> str:
        return (await self._over()).text

    async def wait_for_connection(self) -> None:
        """Return when the call is on its way; raises what the call does when it never will be."""
        if self._status is None and self._exchange is None:
            self._on_its_way = self._on_its_way or self._loop.create_future()
            await asyncio.shield(self._on_its_way)
        if self._status is not None:
            await self

    # What the link and the exchange tell.

    @property
    def waits_for_ready(self) -> bool:
        return self._asked.waits_for_ready

    def send(self, connection: Connection) -> None:
        block = self._asked.block
        self._sent_at = self._loop.time()
        if self._deadline is not None:
            left = self._deadline - self._sent_at
            block += metadata_block((("grpc-timeout", timeout_text(left)),))
        if self._sent:
            block += metadata_block(((ATTEMPTS_KEY, str(self._sent)),))
        self._sent += 1
        self._connection = connection
        self._exchange = connection.begin(block, self._asked.data, self)
        self._told_on_its_way()

    def unsent(self, status: Status) -> None:
        """No connection could be had."""
        self._sent += 1
        self._failed(status)

    def ended(self, exchange: Exchange, status: Status, *, unprocessed: bool) -> None:
        self._exchange = None
        if self._status is not None:
            return
        self._initial = exchange.initial
        if status.code is Code.OK:
            self._answered(exchange.message, status)
        elif unprocessed and not self._passed_over and not self._link.closed:
            # Proposal A6, "transparent retries": once, at no attempt's cost.
            self._passed_over = True
            self._sent -= 1
            self._link.send(self)
        elif exchange.begun:
            self._end(status)
        else:
            self._failed(status)

    def _failed(self, status: Status) -> None:
        """The call got no answer: send it again if that may help."""
        retries = self._asked.retries
        if status.code is not Code.UNAVAILABLE or self._sent >= retries.attempts or self._link.closed:
            self._end(status)
            return
        pause: float | None = retries.pause_s(self._sent)
        for name, value in status.metadata:
            if name == PUSHBACK_KEY:
                pause = int(value) / 1000 if isinstance(value, str) and value.isdigit() else None
        if pause is None:
            self._end(status)
        else:
            self._again = self._loop.call_later(pause, self._send_again)

    def _send_again(self) -> None:
        self._again = None
        if self._link.closed:
            self._end(Status(Code.CANCELLED, "the channel was closed"))
        else:
            self._link.send(self)

    def _answered(self, message: bytes, status: Status) -> None:
        parse = self._asked.parse
        try:
            self._answer = message if parse is None else parse(message)
        except Exception:
            self._end(UNPARSED)
            return
        self._end(status)

    def _late(self) -> None:
        self._timer = None
        connection = self._connection
        self._stop()
        self._end(LATE)
        if connection is not None:
            connection.doubt(self._sent_at)

    def _stop(self) -> None:
        if self._exchange is not None and self._connection is not None:
            exchange, self._exchange = self._exchange, None
            self._connection.give_up(exchange)
        else:
            self._link.forget(self)

    def _end(self, status: Status) -> None:
        self._status = status
        if self._timer is not None:
            self._timer.cancel()
        if self._again is not None:
            self._again.cancel()
        self._connection = None
        error: grpc.aio.AioRpcError | None = None
        if status.code is not Code.OK:
            initial, trailing = (grpc.aio.Metadata.from_tuple(each) for each in (self._initial, status.metadata))
            error = grpc.aio.AioRpcError(status.code, initial, trailing, status.text)
        self._error = error
        if self._ended is not None:
            self._error = self._ended(None if status is CANCELLED else error) or error
        if not self._future.done():
            if status is CANCELLED:
                self._future.cancel()
            else:
                self._future.set_result(None)
        self._told_on_its_way()
        for callback in self._callbacks:
            callback(self)

    def _told_on_its_way(self) -> None:
        if self._on_its_way is not None and not self._on_its_way.done():
            self._on_its_way.set_result(None)

    async def _over(self) -> Status:
        """Wait for the end, however it is, without ending the call when the waiter is cancelled."""
        if self._status is None:
            over = self._loop.create_future()
            self.add_done_callback(lambda _: None if over.done() else over.set_result(None))
            await over
        return self._status or OK
