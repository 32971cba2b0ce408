"""Answers to requests that become no call: what is not gRPC gets plain HTTP, once it has come whole."""

from __future__ import annotations

from collections.abc import Callable

from modelog_common.edge.blocks import written
from modelog_common.edge.frames import Code
from modelog_common.edge.outbox import Outbox
from modelog_common.edge.status import Status
from modelog_common.edge.stream import Stream

PLAIN = (b"content-type", b"text/plain; charset=utf-8")
FIRST = ((b":status", b"200"), (b"content-type", b"application/grpc"))


class HttpRefusal:
    """Reads a request out, without keeping it, then answers with a status and a line of text."""

    __slots__ = ("_outbox", "_reset", "_stream", "waits_for_request")
    held_bytes = 0
    takes_more = True

    def __init__(self, outbox: Outbox, stream: Stream, reset: Callable[[Stream, Code], None]) -> None:
        self._outbox, self._stream, self._reset = outbox, stream, reset
        self.waits_for_request = True

    def feed(self, data: bytes, *, ended: bool) -> None:
        if ended and self._stream.head.http is not None:
            self.waits_for_request = False
            status, text = self._stream.head.http
            body = f"{text}\n".encode()
            fields = [(b":status", b"%d" % status), PLAIN, (b"content-length", b"%d" % len(body))]
            self._outbox.headers(self._stream, written(fields))
            self._outbox.data(self._stream, body)
            self._outbox.finish(self._stream, b"")

    def stalled(self) -> None:
        self._reset(self._stream, Code.CANCEL)

    def shut(self) -> None:
        self.stalled()

    def overfull(self, *, of_all: bool) -> None:
        self.stalled()

    def lost(self) -> None:
        self.waits_for_request = False


def refuse(outbox: Outbox, stream: Stream, status: Status) -> None:
    """End a stream with nothing but a status."""
    outbox.finish(stream, written([*FIRST, *status.fields()]))
