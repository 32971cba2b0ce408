"""Calls without a task: a plain function takes a request's bytes, and answers now or later, many calls at a time.

What it does not take goes to the method's handler as any other call does; so it need only know the common case.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from modelog_common.edge.blocks import written
from modelog_common.edge.call import ALL_OVERFULL, FIRST_BLOCK, OK_BLOCK, OVERFULL, STALLED, STOPPED, Call
from modelog_common.edge.connection import Connection
from modelog_common.edge.handling import handle
from modelog_common.edge.head import Head
from modelog_common.edge.messages import PREFIX, PREFIX_BYTES
from modelog_common.edge.refusal import FIRST
from modelog_common.edge.status import Code, Status
from modelog_common.edge.stream import Stream

UNREAD: Final = Status(Code.RESOURCE_EXHAUSTED, "too many answers wait for the client to read them")


class Direct(Protocol):
    """What takes calls of a method."""

    def __call__(self, call: DirectCall) -> bool:
        """Take a call and answer, end or hand it over later; False leaves it to the handler now."""
        ...


class DirectCall:
    """One call whose request has come whole and uncompressed; `ended` also when its caller has left."""

    __slots__ = ("_connection", "_direct", "_handler", "_stream", "ended", "request")

    def __init__(self, connection: Connection, stream: Stream, direct: Direct, handler: Any) -> None:
        self._connection, self._stream, self._direct, self._handler = connection, stream, direct, handler
        self.request = b""
        self.ended = False

    # What takes the call sees.

    @property
    def head(self) -> Head:
        return self._stream.head

    @property
    def began(self) -> float:
        """When its last bytes came, by the loop's clock."""
        return self._connection.heard

    def answer(self, message: bytes) -> None:
        """Send the one answer, if the caller still waits."""
        if self.ended:
            return
        connection = self._connection
        if connection.outbox.pending_bytes > connection.limits.held_bytes:
            self.fail(UNREAD)
            return
        self.ended = True
        connection.outbox.answer(self._stream, FIRST_BLOCK, PREFIX.pack(0, len(message)), message, OK_BLOCK)

    def fail(self, status: Status) -> None:
        """End the call with nothing but a status, if the caller still waits."""
        if not self.ended:
            self.ended = True
            self._connection.outbox.finish(self._stream, written([*FIRST, *status.fields()]))

    def hand_over(self) -> None:
        """Leave the call to the method's handler after all, if the caller still waits."""
        if not self.ended:
            self.ended = True
            self._hand_over(PREFIX.pack(0, len(self.request)) + self.request, ended=True)

    # What the stream feeds.

    @property
    def waits_for_request(self) -> bool:
        return not self.request and not self.ended

    @property
    def held_bytes(self) -> int:
        return 0

    @property
    def takes_more(self) -> bool:
        return True

    def feed(self, data: bytes, *, ended: bool) -> None:
        if self.ended:
            return
        size = len(data)
        if (
            ended
            and size > PREFIX_BYTES
            and not data[0]
            and int.from_bytes(data[1:PREFIX_BYTES], "big") == size - PREFIX_BYTES
        ):
            self.request = data[PREFIX_BYTES:]
            if self._direct(self):
                return
        self.ended = True
        self._hand_over(data, ended=ended)

    def stalled(self) -> None:
        self.fail(STALLED)

    def overfull(self, *, of_all: bool) -> None:
        self.fail(ALL_OVERFULL if of_all else OVERFULL)

    def shut(self) -> None:
        self.fail(STOPPED)

    def lost(self) -> None:
        self.ended = True

    def _hand_over(self, data: bytes, *, ended: bool) -> None:
        call = Call(self._connection, self._stream, self._handler, handle)
        self._stream.call = call
        call.feed(data, ended=ended)
