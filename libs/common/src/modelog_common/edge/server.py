"""The server: listens, finds the handler of a path, watches its connections, and drains.

It has the two methods that generated code adds its servicers with, as grpc.aio's server has.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from modelog_common.edge import frames
from modelog_common.edge.call import Call
from modelog_common.edge.connection import Connection
from modelog_common.edge.direct import Direct, DirectCall
from modelog_common.edge.frames import ConnectionFault
from modelog_common.edge.handling import handle
from modelog_common.edge.limits import Limits, Total
from modelog_common.edge.refusal import refuse
from modelog_common.edge.shared_port import SharedListener
from modelog_common.edge.status import Code, Metadata, Status
from modelog_common.edge.stream import Stream
from modelog_common.edge.watch import check

# How long a peer may take to acknowledge that it heard of the end.
HEARD_S = 1.0
# How long a cancelled handler or a closed socket may take to end.
END_S = 5.0
NOT_FOUND = Status(Code.UNIMPLEMENTED, "Method not found!")
CROWDED = ConnectionFault(frames.Code.ENHANCE_YOUR_CALM, "too many connections; try again later")
MOST_CROWDED = 1.1
BACKLOG = 1024
# (path, handler) -> the handler to use.
Wrap = Callable[[str, Any], Any]


class Asked(NamedTuple):
    """What a generic handler is asked with."""

    method: str
    invocation_metadata: Metadata


class EdgeServer:
    """Add servicers, then `listen`, then `stop`. `wrap` is put around every handler once.

    A `shared` one listens on ports beside other processes that do.
    """

    def __init__(self, wrap: Wrap | None = None, limits: Limits | None = None, *, shared: bool = False) -> None:
        self._wrap, self._limits, self._shared = wrap, limits or Limits(), shared
        self._handlers: dict[str, Any] = {}
        self._direct: dict[str, Direct] = {}
        self._generic: list[Any] = []
        self._connections: set[Connection] = set()
        self._total = Total()
        self._empty = asyncio.Event()
        self._empty.set()
        self._listeners: list[asyncio.Server] = []
        self._beside: list[SharedListener] = []
        self._check: asyncio.TimerHandle | None = None
        self._stopping = False

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        self._generic.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        for name, handler in handlers.items():
            self._add(f"/{service}/{name}", handler)

    def add_direct(self, path: str, direct: Direct) -> None:
        """Offer calls of a method, which has a handler that takes one request, to `direct` first."""
        self._direct[path] = direct

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen and answer; returns the port. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        handshake_s = None if tls is None else self._limits.handshake_s
        if self._shared:
            beside = await SharedListener.open(self._connection, host, port, BACKLOG, tls, handshake_s)
            self._beside.append(beside)
            found = beside.port
        else:
            listener = await loop.create_server(
                self._connection, host, port, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=handshake_s
            )
            self._listeners.append(listener)
            found = int(listener.sockets[0].getsockname()[1])
        if self._check is None:
            self._check = loop.call_later(self._limits.check_every_s, self._check_all)
        return found

    async def stop(self, drain_s: float) -> None:
        """Take no new connections and calls, let the running calls end for `drain_s` seconds, cancel the rest."""
        for shared in self._beside:
            await shared.close()
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        end = asyncio.get_running_loop().time() + drain_s
        if drain_s > 0:
            for connection in list(self._connections):
                connection.drain()
            await self._quiet(min(HEARD_S, drain_s))
        for connection in list(self._connections):
            connection.drain_on()
        await self._quiet(end - asyncio.get_running_loop().time())
        await self._shut()
        if self._check is not None:
            self._check.cancel()

    async def _shut(self) -> None:
        tasks = []
        for connection in list(self._connections):
            tasks += [call.task for call in connection.running]
            for stream in list(connection.streams.values()):
                if stream.call is not None:
                    stream.call.shut()
            connection.end()
        if tasks:
            await asyncio.wait(tasks, timeout=END_S)
        await self._quiet(END_S)
        for connection in list(self._connections):
            connection.transport.abort()

    async def _quiet(self, patience_s: float) -> None:
        """Wait until no connection is left, so long."""
        if self._connections and patience_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._empty.wait()

    def _add(self, path: str, handler: Any) -> None:
        self._handlers[path] = handler if self._wrap is None else self._wrap(path, handler)

    def _connection(self) -> Connection:
        return Connection(self._limits, self._serve, self._made, self._gone, self._total)

    def _made(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._empty.clear()
        if self._stopping:
            connection.end()
        elif len(self._connections) > self._limits.connections:
            # Some may take their time to hear of it, but not any number.
            connection.end(CROWDED, lingers=len(self._connections) <= self._limits.connections * MOST_CROWDED + 1)

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _serve(self, connection: Connection, stream: Stream) -> None:
        head = stream.head
        handler = self._handlers.get(head.path) or self._found(head.path, head.metadata)
        if handler is None:
            refuse(connection.outbox, stream, NOT_FOUND)
        elif head.refusal is not None:
            refuse(connection.outbox, stream, head.refusal)
        elif head.path in self._direct:
            stream.call = DirectCall(connection, stream, self._direct[head.path], handler)
        else:
            stream.call = Call(connection, stream, handler, handle)

    def _found(self, path: str, metadata: Metadata) -> Any:
        for generic in self._generic:
            handler = generic.service(Asked(path, metadata))
            if handler is not None:
                self._add(path, handler)
                return self._handlers[path]
        return None

    def _check_all(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._connections):
            check(connection, now)
        self._check = loop.call_later(self._limits.check_every_s, self._check_all)
