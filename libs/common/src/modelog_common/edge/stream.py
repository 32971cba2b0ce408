"""One stream of a connection: its windows, what of it is still to be sent, and the call that it carries."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from modelog_common.edge.head import Head

# What streams have to send that never had to wait: nothing can be put in.
NOTHING: deque[memoryview] = deque(maxlen=0)


class Receiver(Protocol):
    """What takes the request of a stream."""

    @property
    def waits_for_request(self) -> bool:
        """Nothing runs yet, for the request has not come whole."""
        ...

    @property
    def held_bytes(self) -> int:
        """What of the request is kept in memory."""
        ...

    @property
    def takes_more(self) -> bool:
        """The peer may send more now."""
        ...

    def feed(self, data: bytes, *, ended: bool) -> None: ...

    def stalled(self) -> None:
        """The request does not come any further."""
        ...

    def overfull(self, *, of_all: bool) -> None:
        """The connection holds too much."""
        ...

    def shut(self) -> None:
        """The server stops: end now."""
        ...

    def lost(self) -> None:
        """The stream is gone: nothing can be sent any more."""
        ...


class Stream:
    """State of one stream; `connection` and `outbox` are the ones that change it."""

    __slots__ = (
        "call", "drained", "head", "heard", "held", "id", "local_ended", "pending", "pending_bytes", "receive_left",
        "received", "remote_ended", "send_window", "trailers", "ungranted",
    )  # fmt: skip

    def __init__(self, number: int, head: Head, send_window: int, receive_window: int, now: float) -> None:
        self.id, self.head = number, head
        self.call: Receiver | None = None
        # Flow control: what we may send; what the peer may send; what it sent and was not given back to it.
        self.send_window = send_window
        self.receive_left = receive_window
        self.ungranted = 0
        # DATA that waits for windows or for the socket, then the last header block (empty: none but the end).
        self.pending = NOTHING
        self.pending_bytes = 0
        self.trailers: bytes | None = None
        self.drained: asyncio.Future[None] | None = None
        self.local_ended = self.remote_ended = False
        self.received = self.held = 0
        self.heard = now
