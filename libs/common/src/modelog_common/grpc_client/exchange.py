"""One sending of a call: its stream, and what of its answer has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from modelog_common.edge import frames
from modelog_common.edge.frames import StreamFault
from modelog_common.edge.head import Head
from modelog_common.edge.messages import PREFIX_BYTES, BadMessage, Incoming
from modelog_common.edge.status import Code, Metadata, Status
from modelog_common.edge.stream import Stream
from modelog_common.grpc_client.answer import NO_STATUS, Part

if TYPE_CHECKING:
    from modelog_common.grpc_client.connection import Connection

NO_HEAD: Final = Head("")
# statuscodes.md: "Response cardinality violation".
NOT_ONE: Final = Status(Code.UNIMPLEMENTED, "the server did not answer with exactly one message")
HALF: Final = Status(Code.INTERNAL, "the answer ends within a message")


class Asker(Protocol):
    """Who waits for the answer."""

    def ended(self, exchange: Exchange, status: Status, *, unprocessed: bool) -> None:
        """The exchange is over; an `unprocessed` one was never looked at by the server."""
        ...


class Exchange(Stream):
    """`begun` once headers came that are not the end as well; `initial` are their metadata."""

    __slots__ = ("_connection", "_encoding", "_incoming", "asker", "begun", "count", "initial", "message")

    def __init__(self, connection: Connection, number: int, send_window: int, receive_window: int, asker: Asker):
        super().__init__(number, NO_HEAD, send_window, receive_window, 0.0)
        self._connection, self.asker = connection, asker
        self.begun = False
        self.initial: Metadata = ()
        self._encoding = ""
        self._incoming: Incoming | None = None
        self.message = b""
        self.count = 0

    def headers(self, part: Part, ended: bool) -> None:
        """A header block came; raises StreamFault."""
        if part.malformed:
            raise StreamFault(self.id, frames.Code.PROTOCOL_ERROR, part.malformed)
        if 100 <= part.http < 200 and not ended and not self.begun:
            return
        if bool(part.http) == self.begun:
            raise StreamFault(self.id, frames.Code.PROTOCOL_ERROR, "headers have no :status, or trailers have one")
        if part.refusal is not None and (part.http or ended):
            self.fail(part.refusal)
        elif ended:
            self._end(part.status or NO_STATUS)
        elif self.begun:
            raise StreamFault(self.id, frames.Code.PROTOCOL_ERROR, "trailers do not end their stream")
        else:
            self.begun, self.initial, self._encoding = True, part.metadata, part.encoding

    def data(self, payload: bytes, ended: bool) -> None:
        """A part of the message came; raises StreamFault."""
        if not self.begun:
            raise StreamFault(self.id, frames.Code.PROTOCOL_ERROR, "DATA came before HEADERS")
        size = len(payload)
        if (
            self._incoming is None
            and not self.count
            and size >= PREFIX_BYTES
            and not payload[0]
            and int.from_bytes(payload[1:PREFIX_BYTES], "big") == size - PREFIX_BYTES
        ):
            self.message = payload[PREFIX_BYTES:]
            self.count = 1
        elif size:
            try:
                self._feed(payload)
            except BadMessage as bad:
                self.fail(bad.status)
                return
        if self.count > 1:
            self.fail(NOT_ONE)
        elif ended:
            self._end(NO_STATUS)

    def fail(self, status: Status) -> None:
        """End it from here."""
        self._connection.reset(self, frames.Code.CANCEL)
        self.asker.ended(self, status, unprocessed=False)

    def _feed(self, payload: bytes) -> None:
        incoming = self._incoming
        if incoming is None:
            incoming = self._incoming = Incoming(self._encoding, self._connection.limits.message_bytes)
        incoming.feed(payload)
        while incoming.messages:
            self.message = incoming.take()
            self.count += 1

    def _end(self, status: Status) -> None:
        self.remote_ended = True
        self._connection.answered(self)
        if status.code is Code.OK:
            if self._incoming is not None and self._incoming.partial_bytes:
                status = HALF
            elif self.count != 1:
                status = NOT_ONE
        self.asker.ended(self, status, unprocessed=False)
