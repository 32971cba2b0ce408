"""What one connection sends: frames gathered into one write a loop turn, DATA as far as the peer's windows allow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from modelog_common.edge import frames
from modelog_common.edge.frames import DATA, END_STREAM
from modelog_common.edge.stream import NOTHING, Stream

# DATA is cut into frames of at most this size even for peers that take more, so that streams take turns.
TURN_BYTES: Final = 65_536
BATCH_BYTES: Final = 262_144
# A handler that only writes lets the loop go on after so many.
LET_OTHERS_BYTES: Final = 16_384
# A handler that waits goes on when this part of what may be unsent is left.
RESUME_PART: Final = 4


class Outbox:
    """`ended` is told of each stream whose end was sent."""

    def __init__(self, transport: asyncio.Transport, ended: Callable[[Stream], None], stream_unsent: int) -> None:
        self._transport, self._ended, self._stream_unsent = transport, ended, stream_unsent
        self._loop = asyncio.get_running_loop()
        self._queue: list[bytes] = []
        self._scheduled = False
        self._ready: dict[int, Stream] = {}
        self.queued_bytes = 0
        # Of all streams: DATA that waits for windows.
        self.pending_bytes = 0
        self.paused = False
        self.window = self.initial_window = frames.DEFAULT_WINDOW
        self.frame_bytes = frames.DEFAULT_FRAME_BYTES

    def put(self, data: bytes) -> None:
        """Send frames in this loop turn."""
        self._queue.append(data)
        self.queued_bytes += len(data)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what was gathered, unless the socket takes no more."""
        self._scheduled = False
        if self._queue and not self.paused:
            data = b"".join(self._queue)
            self._queue.clear()
            self.queued_bytes = 0
            # uvloop raises when the peer was gone before what was gathered for it.
            if not self._transport.is_closing():
                self._transport.write(data)

    def hold(self) -> None:
        """Gather until the next `flush` without asking for a loop turn: the caller flushes."""
        self._scheduled = True

    def headers(self, stream: Stream, block: bytes) -> None:
        self.put(frames.headers(stream.id, block, 0, self.frame_bytes))

    def answer(self, stream: Stream, first: bytes, prefix: bytes, message: bytes, last: bytes) -> None:
        """Header block, one message behind its `prefix`, trailers: in one piece when that is possible."""
        size = len(prefix) + len(message)
        if (
            size <= self.frame_bytes
            and size <= stream.send_window
            and size <= self.window
            and not self.paused
            and len(first) <= frames.DEFAULT_FRAME_BYTES
            and len(last) <= frames.DEFAULT_FRAME_BYTES
        ):
            self.window -= size
            self.put(frames.whole_answer(stream.id, first, prefix, message, last))
            self._end(stream)
            return
        self.headers(stream, first)
        self.data(stream, prefix + message)
        self.finish(stream, last)

    def request(self, stream: Stream, block: bytes, data: bytes) -> None:
        """Header block, one message with its prefix, and the end: in one piece when that is possible."""
        size = len(data)
        if (
            size <= self.frame_bytes
            and size <= stream.send_window
            and size <= self.window
            and not self.paused
            and len(block) <= frames.DEFAULT_FRAME_BYTES
        ):
            self.window -= size
            self.put(frames.whole_request(stream.id, block, data))
            self._end(stream)
            return
        self.headers(stream, block)
        self.data(stream, data)
        self.finish(stream, b"")

    def data(self, stream: Stream, chunk: bytes) -> None:
        """Send DATA, in order, as soon as windows and socket take it."""
        if stream.pending is NOTHING:
            stream.pending = deque()
        stream.pending.append(memoryview(chunk))
        stream.pending_bytes += len(chunk)
        self.pending_bytes += len(chunk)
        self._ready[stream.id] = stream
        self.pump()

    def finish(self, stream: Stream, block: bytes) -> None:
        """End a stream with trailers, or with nothing but the end if the block is empty, after all its DATA."""
        stream.trailers = block
        if not stream.pending:
            self._finish(stream)

    async def room(self, stream: Stream) -> None:
        """Return when a stream has not too much unsent, and what was gathered has gone out."""
        if self.queued_bytes >= LET_OTHERS_BYTES:
            await asyncio.sleep(0)
        if stream.pending_bytes > self._stream_unsent:
            stream.drained = self._loop.create_future()
            await stream.drained

    def drop(self, stream: Stream) -> None:
        """Forget what a stream still had to send."""
        if stream.pending is NOTHING:
            self._wake(stream)
            return
        self._ready.pop(stream.id, None)
        self.pending_bytes -= stream.pending_bytes
        stream.pending_bytes = 0
        stream.pending.clear()
        self._wake(stream)

    def opened(self, stream: Stream) -> None:
        """The peer widened a stream's window."""
        if stream.pending:
            self._ready[stream.id] = stream
            self.pump()

    def pump(self) -> None:
        """Send what waits: streams take turns of one frame each."""
        ready = self._ready
        while ready and self.window > 0 and not self.paused:
            number, stream = next(iter(ready.items()))
            del ready[number]
            self._turn(stream)
            if self.queued_bytes >= BATCH_BYTES:
                self.flush()

    def _turn(self, stream: Stream) -> None:
        chunk = stream.pending[0]
        size = min(len(chunk), self.frame_bytes, TURN_BYTES, stream.send_window, self.window)
        if size <= 0 < len(chunk):
            return
        if size == len(chunk):
            stream.pending.popleft()
        else:
            stream.pending[0] = chunk[size:]
        stream.send_window -= size
        self.window -= size
        stream.pending_bytes -= size
        self.pending_bytes -= size
        self.put(frames.head(size, DATA, 0, stream.id) + chunk[:size])
        if stream.pending:
            self._ready[stream.id] = stream
        elif stream.trailers is not None:
            self._finish(stream)
        if stream.drained is not None and stream.pending_bytes <= self._stream_unsent // RESUME_PART:
            self._wake(stream)

    def _finish(self, stream: Stream) -> None:
        if stream.trailers:
            self.put(frames.headers(stream.id, stream.trailers, END_STREAM, self.frame_bytes))
        else:
            self.put(frames.frame(DATA, END_STREAM, stream.id))
        self._end(stream)

    def _end(self, stream: Stream) -> None:
        stream.local_ended = True
        self._ended(stream)

    def _wake(self, stream: Stream) -> None:
        if stream.drained is not None and not stream.drained.done():
            stream.drained.set_result(None)
        stream.drained = None
