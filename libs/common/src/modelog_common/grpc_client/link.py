"""The way to one server: which connection calls go over, which wait for one, and when it is made anew.

As grpcio does it with "pick_first": a connection is made at the first call; while none can be had, calls fail at once
and it is tried again, with growing pauses, until nobody has asked for a while (connection-backoff.md).
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol

import grpc

from modelog_common.edge.limits import Limits
from modelog_common.edge.status import Code, Status
from modelog_common.grpc_client.connection import Connection

State = grpc.ChannelConnectivity


@dataclass(frozen=True)
class Patience:
    """How long an address may take until it has greeted, and how long is waited before it is tried again."""

    greeting_s: float = 20.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 120.0
    factor: float = 1.6
    jitter: float = 0.2
    # After so long without a call nobody needs the server.
    idle_s: float = 60.0


class Sender(Protocol):
    """A call that is to be sent."""

    @property
    def waits_for_ready(self) -> bool:
        """It waits as long as it may, also where no connection can be had."""
        ...

    def send(self, connection: Connection) -> None: ...

    def unsent(self, status: Status) -> None:
        """No connection could be had."""
        ...


class Link:
    """Calls to one `target` (host:port), in the clear unless there is `tls`."""

    def __init__(
        self,
        target: str,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
    ) -> None:
        host, _, port = target.rpartition(":")
        self._host, self._port, self._tls = host.strip("[]"), int(port), tls
        self.authority, self.scheme = target, "http" if tls is None else "https"
        self.limits, self._patience = limits or Limits(), patience or Patience()
        self._connection: Connection | None = None
        # Those that were told to leave and have calls still.
        self._others: set[Connection] = set()
        # The one that is being made.
        self._next: Connection | None = None
        self._greeted: asyncio.Future[None] | None = None
        self._waiting: dict[Sender, None] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._asked = 0.0
        # Why no connection could be had the last time; empty when it was never tried, or worked.
        self._failed = ""
        self.closed = False
        self._changed = asyncio.Event()

    def send(self, sender: Sender) -> None:
        """Have a call sent now, or when there is a connection that takes it; `unsent` tells that there is none."""
        connection = self._connection
        if connection is not None and connection.takes and not self._waiting:
            sender.send(connection)
            return
        self._asked = asyncio.get_running_loop().time()
        if connection is None and self._failed and not sender.waits_for_ready:
            self._connect()
            sender.unsent(self._unavailable())
            return
        self._waiting[sender] = None
        if connection is None:
            self._connect()

    def forget(self, sender: Sender) -> None:
        """A call that waits need not be sent any more."""
        self._waiting.pop(sender, None)

    def state(self, *, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        if self.closed:
            return State.SHUTDOWN
        if self._connection is not None:
            return State.READY
        if try_to_connect:
            self._asked = asyncio.get_running_loop().time()
            self._connect()
        if self._failed:
            return State.TRANSIENT_FAILURE
        return State.IDLE if self._connecting is None else State.CONNECTING

    async def changed(self) -> None:
        """Wait until the state may be another one."""
        await self._changed.wait()

    async def close(self) -> None:
        """End all connections, and the calls on them."""
        self.closed = True
        if self._connecting is not None:
            connecting = self._connecting
            connecting.cancel()
            await asyncio.wait({connecting})
        for connection in [self._connection, *self._others]:
            if connection is not None:
                connection.end("the channel was closed")
        for sender in list(self._waiting):
            sender.unsent(Status(Code.CANCELLED, "the channel was closed"))
        self._waiting.clear()
        self._tell()

    # What connections tell.

    def settled(self, connection: Connection) -> None:
        if connection is self._next and self._greeted is not None and not self._greeted.done():
            self._greeted.set_result(None)

    def freed(self, connection: Connection) -> None:
        if self._waiting and connection is self._connection:
            self._send_waiting(connection)

    def leaving(self, connection: Connection) -> None:
        if connection is self._connection:
            self._others.add(connection)
            self._parted()

    def gone(self, connection: Connection, why: str) -> None:
        self._others.discard(connection)
        if connection is self._connection:
            self._parted()
        elif connection is self._next and self._greeted is not None and not self._greeted.done():
            self._greeted.set_exception(ConnectionError(why))

    def _parted(self) -> None:
        self._connection = None
        self._tell()
        if self._waiting and not self.closed:
            self._connect()

    def _send_waiting(self, connection: Connection) -> None:
        while self._waiting and connection.takes:
            sender = next(iter(self._waiting))
            del self._waiting[sender]
            sender.send(connection)

    # Connecting.

    def _connect(self) -> None:
        if self._connecting is None:
            # A connection outlasts the call that it is made for, and must not act in its name.
            self._connecting = asyncio.get_running_loop().create_task(self._until_connected(), context=Context())
            self._connecting.add_done_callback(self._tried)
            self._tell()

    def _tried(self, task: asyncio.Task[None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.result()
        self._tell()
        if self._waiting and self._connection is None and not self.closed:
            self._connect()

    async def _until_connected(self) -> None:
        loop = asyncio.get_running_loop()
        patience = self._patience
        pause = patience.first_pause_s
        while True:
            began = loop.time()
            try:
                connection = await self._made()
            except OSError as error:
                self._fail(str(error) or type(error).__name__)
            else:
                self._failed = ""
                self._connection = connection
                self._tell()
                self._send_waiting(connection)
                return
            await asyncio.sleep(max(began + spread(pause, patience.jitter) - loop.time(), 0))
            pause = min(pause * patience.factor, patience.longest_pause_s)
            if loop.time() - self._asked > patience.idle_s and not self._waiting:
                self._failed = ""
                self._tell()
                return

    def _fail(self, why: str) -> None:
        self._failed = why
        self._tell()
        for sender in [each for each in self._waiting if not each.waits_for_ready]:
            del self._waiting[sender]
            sender.unsent(self._unavailable())

    def _unavailable(self) -> Status:
        return Status(Code.UNAVAILABLE, f"no connection to {self._host}:{self._port}: {self._failed}")

    async def _made(self) -> Connection:
        """A connection that was greeted, to the first address of the name that has one; raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        errors: list[str] = []
        for _, _, _, _, address in found:
            try:
                async with asyncio.timeout(self._patience.greeting_s):
                    return await self._greeted_by(str(address[0]))
            except TimeoutError:
                errors.append(f"{address[0]} did not greet within {self._patience.greeting_s:g} s")
            except OSError as error:
                errors.append(str(error) or type(error).__name__)
        raise OSError("; ".join(errors))

    async def _greeted_by(self, address: str) -> Connection:
        loop = asyncio.get_running_loop()
        greeted = self._greeted = loop.create_future()
        connection = self._next = Connection(self, self.limits)
        name = None if self._tls is None else self._host
        try:
            await loop.create_connection(lambda: connection, address, self._port, ssl=self._tls, server_hostname=name)
            await greeted
            if connection.is_leaving:
                raise ConnectionError("the server greeted and left")
        except BaseException:
            connection.abort()
            raise
        finally:
            self._next = self._greeted = None
        return connection

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def spread(pause_s: float, jitter: float) -> float:
    """A pause of about that length, so that not all clients come back at once."""
    return pause_s * (1 + random.uniform(-jitter, jitter))  # noqa: S311
