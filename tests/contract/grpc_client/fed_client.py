"""Feeds bytes of a server to our own client without a socket, and holds what it does against what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fed_edge import ENDLESS, Wire
from modelog_common.edge import frames
from modelog_common.edge.status import Code
from modelog_common.grpc_client.call import Asked, Retries, UnaryCall
from modelog_common.grpc_client.connection import Connection
from modelog_common.grpc_client.link import Link

CALLS = 3
GREETING = frames.settings({})


async def feed(sent: bytes, cuts: Sequence[int], takes: int = ENDLESS) -> None:
    """Calls on a connection that gets these bytes in pieces of these sizes, and is lost then.

    Raises AssertionError when something was raised into the loop, or a call was not told once how it ended.
    """
    raised: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    link = Link("127.0.0.1:1")
    connection = Connection(link, link.limits)
    connection.connection_made(Wire(connection, takes))
    connection.data_received(GREETING)
    link._connection = connection
    told: list[int] = []
    asked = Asked(b"", bytes(5), None, Retries(1))
    calls = [
        UnaryCall(link, asked, None, lambda error, number=number: told.append(number))  # type: ignore[misc]
        for number in range(CALLS)
    ]
    at, turn = 0, 0
    while at < len(sent):
        size = cuts[turn % len(cuts)]
        connection.data_received(sent[at : at + size])
        at, turn = at + size, turn + 1
    link.closed = True
    connection.connection_lost(None)
    for call in calls:
        if not call.done():
            call.cancel()
    assert connection._why != "the connection failed"
    assert sorted(told) == list(range(CALLS))
    assert not connection.exchanges
    assert all([await call.code() in Code for call in calls])
    assert raised == []
    if link._connecting is not None:
        link._connecting.cancel()
