"""What one connection receives: HTTP/2 frames in, requests out (RFC 9113, the server's side).

Faults of the peer end the stream or the connection, as the RFC says; nothing is raised into the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import structlog

from modelog_common.edge import frames
from modelog_common.edge.blocks import HeaderReader
from modelog_common.edge.frames import ACK, END_HEADERS, END_STREAM, Code, ConnectionFault, StreamFault
from modelog_common.edge.head import Malformed, check_trailers
from modelog_common.edge.limits import Allowance, Limits
from modelog_common.edge.outbox import Outbox
from modelog_common.edge.refusal import HttpRefusal
from modelog_common.edge.stream import Stream

DRAIN_PING = b"draining"
LIFE_PING = b"alive???"
# Streams that we ended while the peer still sent: what comes of them is let pass.
LET_GO = 1000
# CVE-2023-44487: resets cost the peer nothing. Our own, for its faults, count as well (CVE-2025-8671).
RESETS, RESETS_PER_S = 500, 100
# Frames that bring no call further: PING, SETTINGS, PRIORITY, empty DATA, unknown ones.
IDLE_FRAMES, IDLE_FRAMES_PER_S = 5000, 500
log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """`serve` begins the call of a stream; `made` and `gone` are told when the connection begins and has ended."""

    def __init__(
        self,
        limits: Limits,
        serve: Callable[[Connection, Stream], None],
        made: Callable[[Connection], None],
        gone: Callable[[Connection], None],
    ) -> None:
        self.limits, self._serve, self._made, self._gone = limits, serve, made, gone
        self.loop = asyncio.get_running_loop()
        self.streams: dict[int, Stream] = {}
        # Calls whose handlers run, also when their streams are gone.
        self.running: set[Any] = set()
        self.held = 0
        self._reader = HeaderReader(limits)
        self._rest = bytearray()
        self._need = 0
        self._prefaced = self._settled = self._acknowledged = self._ending = False
        self._draining = self._final = False
        self._last = self._last_taken = 0
        self._skipped: list[range] = []
        self._let_go: dict[int, None] = {}
        self._block: tuple[int, int, bytearray] | None = None
        self._block_frames = 0
        self._window_left = limits.connection_window
        self._ungranted = 0
        self._resets = Allowance(RESETS, RESETS_PER_S)
        self._idle = Allowance(IDLE_FRAMES, IDLE_FRAMES_PER_S)
        self._since = self._heard = self.loop.time()
        self._block_since = self._unread_since = self._asked_since = 0.0
        self._reading = True
        self._kinds = (
            self._data, self._headers, self._priority, self._rst_stream, self._settings, self._push_promise,
            self._ping, self._goaway, self._window_update, self._continuation,
        )  # fmt: skip

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are not derived from it.
        self.transport = cast(asyncio.Transport, transport)
        self.outbox = Outbox(self.transport, self._sent_end, self.limits.stream_unsent_bytes)
        self._made(self)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self._ending = True
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

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        self._heard = self.loop.time()
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
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        self.outbox.paused = False
        self.outbox.pump()
        self.outbox.flush()
        if not self._reading and not self.outbox.paused:
            self._reading = True
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ending = True
        for stream in list(self.streams.values()):
            self._forget(stream)
        self._gone(self)

    def _hold_back(self) -> None:
        """A peer that does not read what we send is not read either, or its PINGs would fill our memory."""
        if self.outbox.queued_bytes > self.limits.unsent_bytes and self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    # The server's side.

    def drain(self) -> None:
        """Say that the connection ends: new streams come until the peer has heard of it (RFC 9113, section 6.8)."""
        if not self._draining:
            self._draining = True
            self.outbox.put(frames.goaway(frames.LARGEST_STREAM, Code.NO_ERROR))
            self.outbox.put(frames.frame(frames.PING, 0, 0, DRAIN_PING))

    def drain_on(self) -> None:
        """The peer has heard of it, or had the time to: take no new streams; end when those that run have ended."""
        self._draining = True
        if not self._final and not self._ending:
            self._final = True
            self.outbox.put(frames.goaway(self._last_taken, Code.NO_ERROR))
            self._end_when_idle()

    def end(self, fault: ConnectionFault | None = None) -> None:
        """Close now. Calls that run are told that their streams are gone."""
        if self._ending:
            return
        self._ending = True
        self._since = self.loop.time()
        code, text = (Code.NO_ERROR, "") if fault is None else (fault.code, str(fault))
        self.outbox.put(frames.goaway(self._last_taken, code, text))
        for stream in list(self.streams.values()):
            self._forget(stream)
        self.outbox.flush()
        self.transport.close()

    def check(self, now: float) -> None:
        """Called every few seconds: whoever is slow beyond the limits is let go."""
        limits = self.limits
        if self._ending or (self.outbox.paused and now - self._unread_since > limits.unread_s):
            if not self._ending or now - self._since > limits.unread_s:
                self.transport.abort()
            return
        if not (self._settled and self._acknowledged) and now - self._since > limits.handshake_s:
            self.end(ConnectionFault(Code.SETTINGS_TIMEOUT, "the preface or the SETTINGS took too long"))
        elif self._block is not None and now - self._block_since > limits.header_block_s:
            self.end(ConnectionFault(Code.ENHANCE_YOUR_CALM, "a header block took too long"))
        else:
            self._check_streams(now)

    def _check_streams(self, now: float) -> None:
        limits = self.limits
        for stream in list(self.streams.values()):
            late = now - stream.heard > limits.request_s
            if late and stream.call is not None and stream.call.waits_for_request:
                stream.call.stalled()
        if self.streams and now - self._heard > limits.silent_s:
            if self._asked_since < self._heard:
                self._asked_since = now
                self.outbox.put(frames.frame(frames.PING, 0, 0, LIFE_PING))
            elif now - self._asked_since > limits.sign_of_life_s:
                self.transport.abort()

    # The streams' side.

    def reset(self, stream: Stream, code: Code) -> None:
        """End a stream without an answer, or after one that the peer did not wait for."""
        self._forget(stream)
        self._let_pass(stream.id)
        self.outbox.put(frames.rst_stream(stream.id, code))
        self._end_when_idle()

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
        self._forget(stream)
        self._end_when_idle()

    def _forget(self, stream: Stream) -> None:
        if self.streams.pop(stream.id, None) is None:
            return
        self.held -= stream.held
        stream.held = 0
        self.outbox.drop(stream)
        if stream.call is not None:
            stream.call.lost()

    def _let_pass(self, number: int) -> None:
        self._let_go[number] = None
        if len(self._let_go) > LET_GO:
            del self._let_go[next(iter(self._let_go))]

    def _end_when_idle(self) -> None:
        if self._final and not self.streams:
            self.end()

    def _weigh(self, stream: Stream) -> None:
        held = 0 if stream.call is None else stream.call.held_bytes
        self.held += held - stream.held
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
        unpack, longest = frames.HEAD.unpack_from, self.limits.frame_bytes
        while end - at >= frames.HEAD_BYTES:
            high, low, kind, flags, number = unpack(data, at)
            size = high << 16 | low
            if size > longest:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"a frame has {size} bytes; allowed: {longest}")
            start = at + frames.HEAD_BYTES
            if start + size > end:
                self._keep(data[at:], frames.HEAD_BYTES + size)
                return
            at = start + size
            try:
                self._frame(kind, flags, number & 0x7FFFFFFF, data[start:at])
            except StreamFault as fault:
                self._fault(fault)
            if self._ending:
                return
        if at < end:
            self._keep(data[at:], frames.HEAD_BYTES)

    def _keep(self, data: bytes, need: int) -> None:
        self._rest += data
        self._need = need

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if not self._settled and kind != frames.SETTINGS:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self._block is not None and (kind != frames.CONTINUATION or number != self._block[0]):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a header block is interrupted")
        if kind < len(self._kinds):
            self._kinds[kind](flags, number, payload)
        else:
            self._idle_frame()

    def _fault(self, fault: StreamFault) -> None:
        if not self._resets.take():
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many streams had faults")
        stream = self.streams.get(fault.stream)
        if stream is not None:
            self.reset(stream, fault.code)
        else:
            self._let_pass(fault.stream)
            self.outbox.put(frames.rst_stream(fault.stream, fault.code))

    def _idle_frame(self) -> None:
        if not self._idle.take():
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many frames that bring no call further")

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._window_left -= size
        if self._window_left < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more DATA came than the connection's window allows")
        self._ungranted += size
        if self._ungranted >= self.limits.connection_window // 2:
            self.outbox.put(frames.window_update(0, self._ungranted))
            self._window_left += self._ungranted
            self._ungranted = 0
        if flags & frames.PADDED:
            payload = frames.unpadded(payload, flags)
        stream = self.streams.get(number)
        if stream is None:
            self._stray(number, Code.STREAM_CLOSED)
            return
        if stream.remote_ended:
            raise StreamFault(number, Code.STREAM_CLOSED, "DATA came after the end of its stream")
        stream.receive_left -= size
        if stream.receive_left < 0:
            raise StreamFault(number, Code.FLOW_CONTROL_ERROR, "more DATA came than the stream's window allows")
        stream.received += len(payload)
        ended = flags & END_STREAM != 0
        if ended:
            self._ended(stream)
        elif not payload:
            self._idle_frame()
        if stream.call is None:
            return
        stream.call.feed(payload, ended=ended)
        if not ended or stream.held or stream.call.held_bytes:
            self._taken(stream, size)

    def _taken(self, stream: Stream, size: int) -> None:
        stream.heard = self._heard
        stream.ungranted += size
        if stream.id not in self.streams:
            return
        self.grant(stream)
        if self.held > self.limits.held_bytes and stream.call is not None:
            stream.call.overfull()

    def _ended(self, stream: Stream) -> None:
        stream.remote_ended = True
        length = stream.head.content_length
        if length is not None and length != stream.received:
            raise StreamFault(stream.id, Code.PROTOCOL_ERROR, "the content-length is another one")

    def _stray(self, number: int, code: Code) -> None:
        """DATA, WINDOW_UPDATE or the like of a stream that is not open."""
        if number == 0 or number > self._last or number % 2 == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame is for a stream that was never opened")
        if number not in self._let_go:
            raise StreamFault(number, code, "a frame is for a stream that has ended")

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        block = frames.unpadded(payload, flags) if flags & frames.PADDED else payload
        depends_on = -1
        if flags & frames.PRIORITISED:
            if len(block) < 5:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "HEADERS are too short for their priority")
            depends_on = frames.LONG.unpack_from(block)[0] & 0x7FFFFFFF
            block = block[5:]
        if number % 2 == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "HEADERS have a stream that no client may open")
        if not flags & END_HEADERS:
            self._block = (number, flags, bytearray(block))
            self._block_frames = 0
            self._block_since = self._heard
            return
        self._block_read(number, flags, block)
        if depends_on == number:
            raise StreamFault(number, Code.PROTOCOL_ERROR, "a stream depends on itself")

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "CONTINUATION follows no HEADERS")
        number, first_flags, block = self._block
        block += payload
        self._block_frames += 1
        if len(block) > self.limits.header_block_bytes or self._block_frames > self.limits.continuations:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "the headers are too large")
        if flags & END_HEADERS:
            self._block = None
            self._block_read(number, first_flags, bytes(block))

    def _block_read(self, number: int, flags: int, block: bytes) -> None:
        stream = self.streams.get(number)
        if stream is not None:
            self._trailers(stream, flags, block)
        elif number <= self._last:
            self._reader.fields(block)
            self._idle_frame()
            if number not in self._let_go:
                skipped = any(number in some for some in self._skipped)
                code = Code.PROTOCOL_ERROR if skipped else Code.STREAM_CLOSED
                raise ConnectionFault(code, "HEADERS are for a stream that has ended, or was never to be opened")
        else:
            self._open(number, flags, block)

    def _open(self, number: int, flags: int, block: bytes) -> None:
        if number > self._last + 2:
            self._skipped = [*self._skipped[-9:], range(self._last + 1, number)]
        self._last = number
        head = self._reader.head(block)
        if self._final:
            self._let_pass(number)
            return
        self._last_taken = number
        if head.malformed:
            raise StreamFault(number, Code.PROTOCOL_ERROR, head.malformed)
        if len(self.streams) >= self.limits.streams or len(self.running) >= self.limits.running:
            raise StreamFault(number, Code.REFUSED_STREAM, "too many calls are under way")
        stream = Stream(number, head, self.outbox.initial_window, self.limits.stream_window, self._heard)
        ended = flags & END_STREAM != 0
        if ended:
            self._ended(stream)
        self.streams[number] = stream
        if head.http is not None:
            stream.call = HttpRefusal(self.outbox, stream, self.reset)
        else:
            self._serve(self, stream)
        if ended and stream.call is not None:
            stream.call.feed(b"", ended=True)

    def _trailers(self, stream: Stream, flags: int, block: bytes) -> None:
        fields = self._reader.fields(block)
        if stream.remote_ended:
            raise StreamFault(stream.id, Code.STREAM_CLOSED, "HEADERS came after the end of their stream")
        if not flags & END_STREAM:
            raise StreamFault(stream.id, Code.PROTOCOL_ERROR, "trailers do not end their stream")
        try:
            check_trailers(fields)
        except Malformed as error:
            raise StreamFault(stream.id, Code.PROTOCOL_ERROR, str(error)) from error
        self._ended(stream)
        if stream.call is not None:
            stream.call.feed(b"", ended=True)

    def _priority(self, flags: int, number: int, payload: bytes) -> None:
        if number == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "PRIORITY has no stream")
        if len(payload) != 5:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PRIORITY has not 5 bytes")
        if frames.LONG.unpack_from(payload)[0] & 0x7FFFFFFF == number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a stream depends on itself")
        self._idle_frame()

    def _rst_stream(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "RST_STREAM has not 4 bytes")
        stream = self.streams.get(number)
        if stream is None:
            if number == 0 or number > self._last:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "RST_STREAM is for a stream that was never opened")
            return
        self._forget(stream)
        self._end_when_idle()
        if not self._resets.take():
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many streams were reset")

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        if number != 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "SETTINGS have a stream")
        if len(payload) % frames.SETTING.size or (flags & ACK and payload):
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS have a wrong size")
        if flags & ACK:
            self._acknowledged = True
            return
        self._settled = True
        self._idle_frame()
        # Before what the new windows let go: grpcio counts by the windows whose acknowledgement it has.
        self.outbox.put(frames.frame(frames.SETTINGS, ACK, 0))
        for name, value in frames.SETTING.iter_unpack(payload):
            self._setting(name, value)

    def _setting(self, name: int, value: int) -> None:
        if name == frames.ENABLE_PUSH and value > 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
        if name == frames.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME_BYTES <= value <= frames.LARGEST_FRAME_BYTES:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")
            self.outbox.frame_bytes = value
        if name == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is out of range")
            more = value - self.outbox.initial_window
            self.outbox.initial_window = value
            for stream in list(self.streams.values()):
                self._widen(stream, more)

    def _widen(self, stream: Stream, more: int) -> None:
        stream.send_window += more
        if stream.send_window > frames.LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a stream's window is too large")
        self.outbox.opened(stream)

    def _push_promise(self, flags: int, number: int, payload: bytes) -> None:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a client may not push")

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        if number != 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "PING has a stream")
        if len(payload) != 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PING has not 8 bytes")
        if not flags & ACK:
            self._idle_frame()
            self.outbox.put(frames.frame(frames.PING, ACK, 0, payload))
        elif payload == DRAIN_PING and self._draining:
            self.drain_on()

    def _goaway(self, flags: int, number: int, payload: bytes) -> None:
        """The peer opens no more streams; those that it has go on, and it closes."""
        if number != 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "GOAWAY has a stream")
        if len(payload) < 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "GOAWAY is too short")
        self._idle_frame()

    def _window_update(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE has not 4 bytes")
        more = frames.LONG.unpack(payload)[0] & 0x7FFFFFFF
        if number == 0:
            self.outbox.window += more
            if more == 0 or self.outbox.window > frames.LARGEST_WINDOW:
                code = Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR
                raise ConnectionFault(code, "WINDOW_UPDATE of the connection by 0, or beyond the largest window")
            self.outbox.pump()
            return
        stream = self.streams.get(number)
        if stream is None:
            if number > self._last or number % 2 == 0:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "WINDOW_UPDATE is for a stream that was never opened")
            return
        stream.send_window += more
        if more == 0 or stream.send_window > frames.LARGEST_WINDOW:
            code = Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR
            raise StreamFault(number, code, "WINDOW_UPDATE by 0, or beyond the largest window")
        self.outbox.opened(stream)
