"""One connection to a server: HTTP/2 frames in, answers out (RFC 9113, the client's side).

Faults of the peer end the stream or the connection, as the RFC says; nothing is raised into the loop.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

import structlog

from modelog_common.edge import frames
from modelog_common.edge.frames import Code, ConnectionFault, StreamFault
from modelog_common.edge.limits import Limits
from modelog_common.edge.outbox import Outbox
from modelog_common.edge.status import Code as StatusCode
from modelog_common.edge.status import Status
from modelog_common.edge.stream import Stream
from modelog_common.grpc_client import incoming
from modelog_common.grpc_client.answer import AnswerReader
from modelog_common.grpc_client.exchange import Asker, Exchange

LIFE_PING: Final = b"alive?!?"
LOST: Final = "the connection to the server was lost"
# By the number of their type.
KINDS = (
    incoming.data, incoming.headers, incoming.priority, incoming.rst_stream, incoming.settings, incoming.push_promise,
    incoming.ping, incoming.goaway, incoming.window_update, incoming.continuation,
)  # fmt: skip
log = structlog.get_logger()


class Owner(Protocol):
    """Who made the connection."""

    def settled(self, connection: Connection) -> None:
        """It takes calls from now on."""
        ...

    def freed(self, connection: Connection) -> None:
        """It may take a call more."""
        ...

    def leaving(self, connection: Connection) -> None:
        """It takes no more calls; those that it has go on."""
        ...

    def gone(self, connection: Connection, why: str) -> None:
        """It is over, and every call that it had was told."""
        ...


class Connection(asyncio.Protocol):
    """`takes` says whether a call may `begin`."""

    def __init__(self, owner: Owner, limits: Limits) -> None:
        self.owner, self.limits = owner, limits
        self.loop = asyncio.get_running_loop()
        self.exchanges: dict[int, Exchange] = {}
        self.reader = AnswerReader(limits)
        self._rest = bytearray()
        self._need = 0
        self.is_settled = self.is_leaving = self.ending = False
        self.next = 1
        # How many streams the peer allows at a time.
        self.most = frames.LARGEST_STREAM
        self.block: tuple[int, int, bytearray] | None = None
        self.block_frames = 0
        self.ungranted = 0
        self.heard = self.loop.time()
        self._doubt: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        self._why = ""

    @property
    def takes(self) -> bool:
        return (
            self.is_settled
            and not self.is_leaving
            and len(self.exchanges) < self.most
            and self.next <= frames.LARGEST_STREAM
        )

    def begin(self, block: bytes, data: bytes, asker: Asker) -> Exchange:
        """Send a request: its header block, and its message with the prefix."""
        number = self.next
        self.next += 2
        outbox = self.outbox
        made = Exchange(self, number, outbox.initial_window, self.limits.stream_window, asker)
        self.exchanges[number] = made
        outbox.request(made, block, data)
        if self.next > frames.LARGEST_STREAM:
            self.leave()
        return made

    def give_up(self, exchange: Exchange) -> None:
        """Nobody waits for the answer any more."""
        if exchange.id in self.exchanges:
            self.reset(exchange, Code.CANCEL)

    def doubt(self, since: float) -> None:
        """Ask the peer for a sign of life if it gave none since then; without one the connection is given up."""
        if self.heard <= since and self._doubt is None and not self.ending:
            self.outbox.put(frames.frame(frames.PING, 0, 0, LIFE_PING))
            self._doubt = self.loop.call_later(self.limits.sign_of_life_s, self._given_up)

    def leave(self) -> None:
        """Take no more calls, and close when those that it has have ended."""
        if not self.is_leaving and not self.ending:
            self.is_leaving = True
            self.owner.leaving(self)
        self.end_when_idle()

    def end(self, why: str = LOST, code: Code = Code.NO_ERROR) -> None:
        """Close now; calls that wait for answers are told why."""
        if self.ending:
            return
        self.ending = self.is_leaving = True
        self._why = self._why or why
        self.outbox.put(frames.goaway(0, code, why))
        self.outbox.flush()
        if self.transport is not None:
            self.transport.close()
        self._drop_all()

    def abort(self) -> None:
        """Close it without a word."""
        self.ending = True
        if self.transport is not None:
            self.transport.abort()

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are not derived from it.
        made = self.transport = cast(asyncio.Transport, transport)
        self.outbox = Outbox(made, self._sent, self.limits.stream_unsent_bytes)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.ending = True
            self._why = "the server does not choose HTTP/2"
            made.abort()
            return
        limits = self.limits
        told = {
            frames.ENABLE_PUSH: 0,
            frames.INITIAL_WINDOW_SIZE: limits.stream_window,
            frames.MAX_FRAME_SIZE: limits.frame_bytes,
            frames.MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
        }
        more = limits.connection_window - frames.DEFAULT_WINDOW
        self.outbox.put(frames.PREFACE + frames.settings(told) + frames.window_update(0, more))

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        self.heard = self.loop.time()
        if self._doubt is not None:
            self._doubt.cancel()
            self._doubt = None
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return
            data = bytes(self._rest)
            self._rest.clear()
        self.outbox.hold()
        try:
            self._read(data)
        except ConnectionFault as fault:
            self.end(f"the server does not follow the protocol: {fault}", fault.code)
        except Exception:
            log.exception("an HTTP/2 connection to a server failed")
            self.end("the connection failed", Code.INTERNAL_ERROR)
        self.outbox.flush()

    def pause_writing(self) -> None:
        self.outbox.paused = True

    def resume_writing(self) -> None:
        self.outbox.paused = False
        self.outbox.pump()
        self.outbox.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ending = self.is_leaving = True
        if not self._why:
            self._why = LOST if exc is None else f"{LOST}: {exc}"
        if self._doubt is not None:
            self._doubt.cancel()
        self._drop_all()
        self.owner.gone(self, self._why)

    # The streams' side.

    def reset(self, exchange: Exchange, code: Code) -> None:
        """End a stream without waiting for its answer."""
        self._forget(exchange)
        self.outbox.put(frames.rst_stream(exchange.id, code))
        self._freed()

    def answered(self, exchange: Exchange) -> None:
        """The peer has ended a stream: what was still to be sent of the request it does not want."""
        if exchange.local_ended:
            del self.exchanges[exchange.id]
            self._freed()
        else:
            self.reset(exchange, Code.NO_ERROR)

    def refused(self, exchange: Exchange, status: Status, *, unprocessed: bool) -> None:
        """The peer ended a stream without an answer."""
        self._forget(exchange)
        exchange.asker.ended(exchange, status, unprocessed=unprocessed)
        self._freed()

    def end_when_idle(self) -> None:
        if self.is_leaving and not self.exchanges:
            self.end()

    def _freed(self) -> None:
        if self.is_leaving:
            self.end_when_idle()
        else:
            self.owner.freed(self)

    def _forget(self, exchange: Exchange) -> None:
        self.exchanges.pop(exchange.id, None)
        self.outbox.drop(exchange)

    def _sent(self, stream: Stream) -> None:
        """`local_ended` says it."""

    def _drop_all(self) -> None:
        dropped = list(self.exchanges.values())
        self.exchanges.clear()
        for exchange in dropped:
            self.outbox.drop(exchange)
            exchange.asker.ended(exchange, Status(StatusCode.UNAVAILABLE, self._why), unprocessed=False)

    def _given_up(self) -> None:
        self._why = "the server gives no sign of life"
        self.abort()

    # Frames.

    def _read(self, data: bytes) -> None:
        at, end = 0, len(data)
        longest = self.limits.frame_bytes
        while end - at >= frames.HEAD_BYTES:
            size = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            kind, flags = data[at + 3], data[at + 4]
            number = (data[at + 5] & 0x7F) << 24 | data[at + 6] << 16 | data[at + 7] << 8 | data[at + 8]
            if size > longest:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"a frame has {size} bytes; allowed: {longest}")
            start = at + frames.HEAD_BYTES
            if start + size > end:
                self._keep(data[at:], frames.HEAD_BYTES + size)
                return
            at = start + size
            try:
                self._frame(kind, flags, number, data[start:at])
            except StreamFault as fault:
                self._fault(fault)
            if self.ending:
                return
        if at < end:
            self._keep(data[at:], frames.HEAD_BYTES)

    def _keep(self, data: bytes, need: int) -> None:
        self._rest += data
        self._need = need

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if not self.is_settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self.block is not None and (kind != frames.CONTINUATION or number != self.block[0]):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a header block is interrupted")
        if kind == frames.DATA:
            incoming.data(self, flags, number, payload)
        elif kind == frames.HEADERS:
            incoming.headers(self, flags, number, payload)
        elif kind < len(KINDS):
            KINDS[kind](self, flags, number, payload)

    def _fault(self, fault: StreamFault) -> None:
        exchange = self.exchanges.get(fault.stream)
        if exchange is not None:
            self.reset(exchange, fault.code)
            text = f"the server does not follow the protocol: {fault}"
            exchange.asker.ended(exchange, Status(StatusCode.INTERNAL, text), unprocessed=False)
