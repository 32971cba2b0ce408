"""An end to how many HTTP/1.1 connections there may be: who comes when there are as many is told so, and let go.

server = await loop.create_server(limited(front.connection, lambda: len(front.connections), 20_000, answer), host, port)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from modelog_common.edge.http1_answer import Answer, first_bytes

# What one who is refused still sends is read and dropped for so long: closed at once, it might not see the answer.
LINGER_S = 2.0


def limited(
    make: Callable[[], asyncio.Protocol], count: Callable[[], int], most: int, answer: Answer
) -> Callable[[], asyncio.Protocol]:
    """Makes the protocols of new connections by `make`, but refuses with `answer` who comes when `count` is `most`."""

    def connection() -> asyncio.Protocol:
        return make() if count() < most else _Refused(answer)

    return connection


class _Refused(asyncio.Protocol):
    """Answers before anything was asked, and closes."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        peer.writelines((first_bytes(self._answer, True, int(loop.time())), self._answer.body))
        if peer.can_write_eof():
            peer.write_eof()
        self._end = loop.call_later(LINGER_S, peer.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
