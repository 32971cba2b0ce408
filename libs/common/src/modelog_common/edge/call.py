"""One call: what its handler sees as the context (as grpc.aio's ServicerContext), and what its stream feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

import grpc

from modelog_common.edge.blocks import written
from modelog_common.edge.connection import Connection
from modelog_common.edge.head import GZIP
from modelog_common.edge.messages import PREFIX, PREFIX_BYTES, BadMessage, Incoming, prefixed
from modelog_common.edge.refusal import FIRST
from modelog_common.edge.status import OK, Code, Metadata, Status, metadata_fields
from modelog_common.edge.stream import Stream
from modelog_common.edge.tls import identities

FIRST_BLOCK: Final = written(FIRST)
OK_BLOCK: Final = written(OK.fields())
DEADLINE: Final = Status(Code.DEADLINE_EXCEEDED, "the call took longer than its deadline")
STOPPED: Final = Status(Code.UNAVAILABLE, "the server stops")
STALLED: Final = Status(Code.CANCELLED, "the request did not come within the time that is allowed for it")
OVERFULL: Final = Status(
    Code.RESOURCE_EXHAUSTED, "the connection holds too many bytes of requests; send less at a time"
)
ALL_OVERFULL: Final = Status(Code.RESOURCE_EXHAUSTED, "the server holds too many bytes of requests; try again later")
CANCELLED: Final = Status(Code.CANCELLED, "the call was cancelled")
Handle = Callable[["Call"], Coroutine[Any, Any, None]]


class Call:
    """Begins its handler when the request is there: one message and the end, or for a stream of requests at once."""

    __slots__ = (
        "_aborted", "_code", "_compress", "_compress_next", "_connection", "_deadline", "_details", "_done_callbacks",
        "_ended_in", "_handle", "_incoming", "_started", "_stream", "_timer", "_trailing", "_waiter", "ended", "gone",
        "handler", "request", "task",
    )  # fmt: skip

    def __init__(self, connection: Connection, stream: Stream, handler: Any, handle: Handle) -> None:
        self._connection, self._stream, self.handler, self._handle = connection, stream, handler, handle
        self.request = b""
        self.ended = self.gone = False
        self._started = self._ended_in = False
        self._incoming: Incoming | None = None
        self.task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: Metadata = ()
        self._aborted = False
        self._compress, self._compress_next = False, True
        self._done_callbacks: list[Callable[[Any], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        timeout_s = stream.head.timeout_s
        if timeout_s is not None:
            self._deadline = connection.loop.time() + timeout_s
            self._timer = connection.loop.call_later(timeout_s, self.fail, DEADLINE)
        if handler.request_streaming:
            self._begin()

    # What the handler sees.

    def invocation_metadata(self) -> Metadata:
        return self._stream.head.metadata

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None without one."""
        return None if self._deadline is None else max(self._deadline - self._connection.loop.time(), 0.0)

    def peer(self) -> str:
        return peer_of(self._connection.transport.get_extra_info("peername"))

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What TLS says of the client, under grpcio's names."""
        return identities(self._connection.transport.get_extra_info("peercert"))

    def peer_identity_key(self) -> str | None:
        found = self.auth_context()
        return next((key for key in ("x509_subject_alternative_name", "x509_common_name") if key in found), None)

    def peer_identities(self) -> Iterable[bytes] | None:
        key = self.peer_identity_key()
        return None if key is None else self.auth_context()[key]

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        """End the call with a status; always raises AbortError."""
        self._code, self._details = (Code.UNKNOWN if code is Code.OK else code), details
        if trailing_metadata:
            self._trailing = tuple(trailing_metadata)
        self._aborted = True
        raise grpc.aio.AbortError("the call was aborted by its handler")

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode | None:
        return self._code

    def details(self) -> str:
        return self._details

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Metadata:
        return self._trailing

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Send headers before the first message; only once, and not after a message."""
        if self._started:
            raise grpc.aio.UsageError("the initial metadata was sent already")
        self._start(tuple(initial_metadata))

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress what is sent from now on, if the client takes gzip; before the first message only."""
        if not self._started:
            self._compress = compression is grpc.Compression.Gzip and self._stream.head.takes_gzip

    def disable_next_message_compression(self) -> None:
        """Send the next message as it is; those after it are compressed again."""
        self._compress_next = False

    def cancelled(self) -> bool:
        """Ended before the handler did: by the client, the deadline, or the server's end."""
        return self.gone

    def done(self) -> bool:
        return self.ended

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._done_callbacks.append(callback)

    async def read(self) -> Any:
        """The next request of a stream; EOF after the last."""
        if not self.handler.request_streaming:
            raise grpc.aio.UsageError("the request of this method is no stream")
        message = await self.next_message()
        return grpc.aio.EOF if message is None else self.parsed(message)

    async def write(self, message: Any) -> None:
        """Send an answer; waits while too much is unsent."""
        if self.ended:
            raise asyncio.CancelledError
        data = self.serialised(message)
        if not self._started:
            self._start(())
        outbox = self._connection.outbox
        outbox.data(self._stream, data)
        await outbox.room(self._stream)

    # What runs the handler.

    async def next_message(self) -> bytes | None:
        """The bytes of the next request of a stream; None after the last."""
        while True:
            if self._incoming is not None and self._incoming.messages:
                message = self._incoming.take()
                if not self.ended:
                    self._connection.grant(self._stream)
                return message
            if self._ended_in:
                return None
            if self.ended:
                raise asyncio.CancelledError
            self._waiter = self._connection.loop.create_future()
            await self._waiter

    def parsed(self, message: bytes) -> Any:
        parse = self.handler.request_deserializer
        if parse is None:
            return message
        try:
            return parse(message)
        except Exception as error:
            raise BadMessage(Code.INTERNAL, "a request cannot be parsed") from error

    def serialised(self, message: Any) -> bytes:
        """An answer with its prefix; raises BadMessage."""
        serialise = self.handler.response_serializer
        data: bytes = message if serialise is None else serialise(message)
        limit = self._connection.limits.message_bytes
        if len(data) > limit:
            raise BadMessage(Code.RESOURCE_EXHAUSTED, f"sent message larger than max ({len(data)} vs. {limit})")
        compress, self._compress_next = self._compress and self._compress_next, True
        if compress:
            return prefixed(data, compress=True)
        return PREFIX.pack(0, len(data)) + data

    def answer(self, message: Any) -> None:
        """Send the one answer, and the status that the handler set or OK."""
        if self.ended:
            return
        if self._code is not None and self._code is not Code.OK:
            self.end(self.status())
            return
        data = self.serialised(message)
        if self._connection.outbox.pending_bytes > self._connection.limits.held_bytes:
            self.end(Status(Code.RESOURCE_EXHAUSTED, "too many answers wait for the client to read them"))
            return
        first = b"" if self._started else self._first_block(())
        last = OK_BLOCK if not self._trailing and not self._details else written(self.status().fields())
        self._close()
        outbox = self._connection.outbox
        if first:
            outbox.answer(self._stream, first, b"", data, last)
        else:
            outbox.data(self._stream, data)
            outbox.finish(self._stream, last)

    def status(self) -> Status:
        """What the handler set; OK if nothing."""
        return Status(Code.OK if self._code is None else self._code, self._details, self._trailing)

    @property
    def aborted(self) -> bool:
        return self._aborted

    def end(self, status: Status) -> None:
        """Send the status, unless the call has ended."""
        if self.ended:
            return
        fields = status.fields()
        self._close()
        block = written(fields if self._started else [*FIRST, *fields])
        self._connection.outbox.finish(self._stream, block)

    # What the stream feeds.

    @property
    def waits_for_request(self) -> bool:
        return self.task is None and not self.ended

    @property
    def held_bytes(self) -> int:
        incoming = self._incoming
        return 0 if incoming is None else incoming.waiting_bytes + incoming.partial_bytes

    @property
    def takes_more(self) -> bool:
        return self._incoming is None or self._incoming.waiting_bytes < self._connection.limits.waiting_bytes

    def feed(self, data: bytes, *, ended: bool) -> None:
        if self.ended:
            return
        incoming = self._incoming
        if incoming is None:
            size = len(data)
            if (
                ended
                and self.task is None
                and size >= PREFIX_BYTES
                and not data[0]
                and int.from_bytes(data[1:PREFIX_BYTES], "big") == size - PREFIX_BYTES
            ):
                self.request = data[PREFIX_BYTES:]
                self._begin()
                return
            incoming = self._incoming = Incoming(self._stream.head.encoding, self._connection.limits.message_bytes)
        try:
            incoming.feed(data)
            if ended and incoming.partial_bytes:
                raise BadMessage(Code.INTERNAL, "the request ends within a message")
            if self.handler.request_streaming:
                self._ended_in = ended
                self._wake()
            elif ended or len(incoming.messages) > 1:
                self._one(incoming)
        except BadMessage as bad:
            self.fail(bad.status)

    def stalled(self) -> None:
        self.fail(STALLED)

    def overfull(self, *, of_all: bool) -> None:
        self.fail(ALL_OVERFULL if of_all else OVERFULL)

    def shut(self) -> None:
        self.fail(STOPPED)

    def fail(self, status: Status) -> None:
        """End the call from outside its handler, which is cancelled."""
        if not self.ended:
            self.gone = True
            self._code, self._details = status.code, status.text
            self.end(status)
            self._cancel()

    def lost(self) -> None:
        if not self.ended:
            self.gone = True
            self._close()
            self._cancel()

    def _one(self, incoming: Incoming) -> None:
        if len(incoming.messages) != 1:
            # statuscodes.md: "Request cardinality violation".
            raise BadMessage(Code.UNIMPLEMENTED, "the method takes exactly one request")
        self.request = incoming.take()
        self._begin()

    def _begin(self) -> None:
        self.task = self._connection.loop.create_task(self._handle(self))
        self._connection.running.add(self)
        self.task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._connection.running.discard(self)
        if not self.ended:
            self.end(CANCELLED)
        if not task.cancelled():
            task.result()

    def _start(self, metadata: Metadata) -> None:
        self._connection.outbox.headers(self._stream, self._first_block(metadata))

    def _first_block(self, metadata: Sequence[tuple[str, str | bytes]]) -> bytes:
        self._started = True
        if not metadata and not self._compress:
            return FIRST_BLOCK
        encoding = [(b"grpc-encoding", GZIP.encode())] if self._compress else []
        return written([*FIRST, *encoding, *metadata_fields(metadata)])

    def _close(self) -> None:
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        for callback in self._done_callbacks:
            callback(self)

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def peer_of(address: Any) -> str:
    """An address as gRPC writes it."""
    if not isinstance(address, tuple):
        return f"unix:{address}"
    host, port = address[:2]
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"
