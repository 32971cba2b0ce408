"""What one connection receives: HTTP/2 frames in, requests out (RFC 9113, the server's side).

Faults of the peer end the stream or the connection, as the RFC says; nothing is raised into the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import structlog

from modelog_common.edge import control, frames, incoming
from modelog_common.edge.blocks import HeaderReader
from modelog_common.edge.frames import Code, ConnectionFault, StreamFault
from modelog_common.edge.limits import Allowance, Limits, Total
from modelog_common.edge.outbox import Outbox
from modelog_common.edge.stream import Stream

# Streams that we ended while the peer still sent: what comes of them is let pass.
LET_GO: Final = 1000
# CVE-2023-44487: resets cost the peer nothing. Our own, for its faults, count as well (CVE-2025-8671).
RESETS, RESETS_PER_S = 500, 100
# Frames that bring no call further: PING, SETTINGS, PRIORITY, empty DATA, unknown ones.
IDLE_FRAMES, IDLE_FRAMES_PER_S = 5000, 500
# By the number of their type.
KINDS = (
    incoming.data, incoming.headers, control.priority, control.rst_stream, control.settings, control.push_promise,
    control.ping, control.goaway, control.window_update, incoming.continuation,
)  # fmt: skip
log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """`serve` begins the call of a stream; `made` and `gone` are told when the connection begins and has ended."""

    def __init__(
        self,
        limits: Limits,
        serve: Callable[[Connection, Stream], None],
        made: Callable[[Connection], None],
        gone: Callable[[Connection], None],
        total: Total,
    ) -> None:
        self.limits, self.serve, self._made, self._gone, self.total = limits, serve, made, gone, total
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, Stream] = {}
        # Calls whose handlers run, also when their streams are gone.
        self.running: set[Any] = set()
        self.held = 0
        self.reader = HeaderReader(limits)
        self._rest = bytearray()
        self._need = 0
        self._prefaced = self.settled = self.acknowledged = self.ending = self.lingers = False
        self.draining = self.final = False
        self.last = self.last_taken = 0
        self.skipped: list[range] = []
        self.let_go: dict[int, None] = {}
        self.block: tuple[int, int, bytearray] | None = None
        self.block_frames = 0
        self.window_left = limits.connection_window
        self.ungranted = 0
        self.resets = Allowance(RESETS, RESETS_PER_S)
        self._idle = Allowance(IDLE_FRAMES, IDLE_FRAMES_PER_S)
        self.since = self.heard = self.loop.time()
        self.block_since = self.unread_since = self.asked_since = 0.0
        self._reading = True

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are not derived from it.
        self.transport = cast(asyncio.Transport, transport)
        self.outbox = Outbox(self.transport, self._sent_end, self.limits.stream_unsent_bytes)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.ending = True
            self.transport.abort()
            return
        limits = self.limits
        told = {
            frames.MAX_CONCURRENT_STREAMS: limits.streams,
            frames.INITIAL_WINDOW_SIZE: limits.stream_window,
            frames.MAX_FRAME_SIZE: limits.frame_bytes,
            frames.MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
        }
        more = limits.connection_window - frames.DEFAULT_WINDOW
        self.outbox.put(frames.settings(told) + frames.window_update(0, more))
        self._made(self)

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        self.heard = self.loop.time()
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
            self.end(fault)
        except Exception:
            log.exception("an HTTP/2 connection failed")
            self.end(ConnectionFault(Code.INTERNAL_ERROR, "the server failed"))
        self.outbox.flush()
        if self.outbox.paused:
            self._hold_back()

    def pause_writing(self) -> None:
        self.outbox.paused = True
        self.unread_since = self.loop.time()

    def resume_writing(self) -> None:
        self.outbox.paused = False
        self.outbox.pump()
        self.outbox.flush()
        if not self._reading and not self.outbox.paused:
            self._reading = True
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ending = True
        for stream in list(self.streams.values()):
            self.forget(stream)
        self._gone(self)

    def _hold_back(self) -> None:
        """A peer that does not read what we send is not read either, or its PINGs would fill our memory."""
        if self.outbox.queued_bytes > self.limits.unsent_bytes and self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    # The server's side.

    def drain(self) -> None:
        """Say that the connection ends: new streams come until the peer has heard of it (RFC 9113, section 6.8)."""
        if not self.draining:
            self.draining = True
            self.outbox.put(frames.goaway(frames.LARGEST_STREAM, Code.NO_ERROR))
            self.outbox.put(frames.frame(frames.PING, 0, 0, control.DRAIN_PING))

    def drain_on(self) -> None:
        """The peer has heard of it, or had the time to: take no new streams; end when those that run have ended."""
        self.draining = True
        if not self.final and not self.ending:
            self.final = True
            self.outbox.put(frames.goaway(self.last_taken, Code.NO_ERROR))
            self.end_when_idle()

    def end(self, fault: ConnectionFault | None = None, *, lingers: bool = True) -> None:
        """Close now; after a fault, once the peer has closed, or soon. Calls that run are told that they are over.

        Where bytes of the peer are unread when a socket is closed, it loses what was sent to it last: it could not know
        what it did wrong. So these are read, and dropped.
        """
        if self.ending:
            if self.lingers:
                self.transport.close()
            return
        self.ending = True
        self.since = self.loop.time()
        code, text = (Code.NO_ERROR, "") if fault is None else (fault.code, str(fault))
        self.outbox.put(frames.goaway(self.last_taken, code, text))
        for stream in list(self.streams.values()):
            self.forget(stream)
        self.outbox.flush()
        self.lingers = lingers and fault is not None and self.transport.can_write_eof()
        if not self.lingers:
            self.transport.close()
            return
        self.transport.write_eof()
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()

    # The streams' side.

    def reset(self, stream: Stream, code: Code) -> None:
        """End a stream without an answer, or after one that the peer did not wait for."""
        self.forget(stream)
        self.let_pass(stream.id)
        self.outbox.put(frames.rst_stream(stream.id, code))
        self.end_when_idle()

    def grant(self, stream: Stream) -> None:
        """Let the peer send more of a stream, when enough of it was taken."""
        self._weigh(stream)
        if (
            stream.ungranted >= self.limits.stream_window // 2
            and not stream.remote_ended
            and stream.call is not None
            and stream.call.takes_more
        ):
            self.outbox.put(frames.window_update(stream.id, stream.ungranted))
            stream.receive_left += stream.ungranted
            stream.ungranted = 0

    def _sent_end(self, stream: Stream) -> None:
        if not stream.remote_ended:
            self.reset(stream, Code.NO_ERROR)
            return
        self.forget(stream)
        self.end_when_idle()

    def forget(self, stream: Stream) -> None:
        if self.streams.pop(stream.id, None) is None:
            return
        if stream.held:
            self._hold(stream, 0)
        self.outbox.drop(stream)
        if stream.call is not None:
            stream.call.lost()

    def let_pass(self, number: int) -> None:
        self.let_go[number] = None
        if len(self.let_go) > LET_GO:
            del self.let_go[next(iter(self.let_go))]

    def end_when_idle(self) -> None:
        if self.final and not self.streams:
            self.end()

    def _weigh(self, stream: Stream) -> None:
        self._hold(stream, 0 if stream.call is None else stream.call.held_bytes)

    def _hold(self, stream: Stream, held: int) -> None:
        more = held - stream.held
        self.held += more
        self.total.held += more
        stream.held = held

    # Frames.

    def _read(self, data: bytes) -> None:
        at, end = 0, len(data)
        if not self._prefaced:
            at = len(frames.PREFACE)
            if data[:at] != frames.PREFACE[:end]:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "this is not HTTP/2")
            if end < at:
                self._keep(data, at)
                return
            self._prefaced = True
        longest = self.limits.frame_bytes
        while end - at >= frames.HEAD_BYTES:
            # As `frames.HEAD` reads it; compiled this is the shorter way.
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
                # As `_frame`, for nearly all frames.
                if kind > frames.HEADERS or not self.settled or self.block is not None:
                    self._frame(kind, flags, number, data[start:at])
                elif kind == frames.DATA:
                    incoming.data(self, flags, number, data[start:at])
                else:
                    incoming.headers(self, flags, number, data[start:at])
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
        if not self.settled and kind != frames.SETTINGS:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self.block is not None and (kind != frames.CONTINUATION or number != self.block[0]):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a header block is interrupted")
        if kind < len(KINDS):
            KINDS[kind](self, flags, number, payload)
        else:
            self.idle_frame()

    def _fault(self, fault: StreamFault) -> None:
        if not self.resets.take():
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many streams had faults")
        stream = self.streams.get(fault.stream)
        if stream is not None:
            self.reset(stream, fault.code)
        else:
            self.let_pass(fault.stream)
            self.outbox.put(frames.rst_stream(fault.stream, fault.code))

    def idle_frame(self) -> None:
        if not self._idle.take():
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many frames that bring no call further")
