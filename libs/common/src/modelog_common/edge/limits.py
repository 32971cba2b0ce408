"""What peers may ask of a connection, and of all together, before they are refused; and how long they may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MIB = 1 << 20

# How many connections a port has at most, unless it is told otherwise.
CONNECTIONS = 20_000


@dataclass(frozen=True)
class Limits:
    """The defaults are for peers on the same network; a stream is one call."""

    message_bytes: int = 32 * MIB
    # Told to the peer in SETTINGS; together with `running` they bound what a connection can have under way.
    streams: int = 1000
    # Handlers that run, those included whose caller left: a reset does not end a handler at once.
    running: int = 2000
    header_list_bytes: int = 16 << 10
    # The compressed block, over all its CONTINUATION frames.
    header_block_bytes: int = 32 << 10
    continuations: int = 16
    frame_bytes: int = 16 << 10
    connection_window: int = 8 * MIB
    stream_window: int = MIB
    # Messages that wait for a handler; above it a stream gets no new window.
    waiting_bytes: int = MIB
    # Parts of messages and waiting messages of all streams, and answers that wait for the peer's windows.
    held_bytes: int = 256 * MIB
    # The same of all connections of a server together; and how many there may be.
    all_held_bytes: int = 1024 * MIB
    connections: int = CONNECTIONS
    # What may wait in memory for a peer that does not read, before we stop reading from it.
    unsent_bytes: int = MIB
    # What a stream of answers may have unsent before its handler waits.
    stream_unsent_bytes: int = 256 << 10
    # How often it is looked whether one of the times below is over.
    check_every_s: float = 1.0
    handshake_s: float = 10.0
    header_block_s: float = 10.0
    # Without any new bytes of a request that a handler waits for.
    request_s: float = 60.0
    # A peer that reads nothing of what waits for it.
    unread_s: float = 60.0
    # A peer with calls under way that is silent is asked for a sign of life, which it has so long to give.
    silent_s: float = 60.0
    sign_of_life_s: float = 20.0


class Total:
    """What all connections of a server hold, in bytes."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0


class Allowance:
    """So many at once, so many a second after that: a token bucket."""

    def __init__(self, burst: int, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_s, self._clock = float(burst), per_s, clock
        self._left = self._burst
        self._since = clock()

    def take(self) -> bool:
        """Use one up; False when there is none left."""
        if self._left < 1.0:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._since) * self._per_s)
            self._since = now
            if self._left < 1.0:
                return False
        self._left -= 1.0
        return True
