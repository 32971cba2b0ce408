"""Ports that several processes listen on: each accepts a part of the connections, and leaves none behind when it stops.

Linux gives each new connection to one of the listeners (SO_REUSEPORT, socket(7)). What waits to be accepted when a
listener is closed would be reset, so it is accepted first.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

Factory = Callable[[], asyncio.Protocol]


def bound(host: str, port: int, *, shared: bool = True) -> socket.socket:
    """A socket at an address, 0 for a free port, which does not listen yet; raises OSError when it cannot be had.

    One that is not `shared` cannot be had where somebody listens.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


class SharedListener:
    """Listens on a port beside other processes."""

    def __init__(
        self,
        server: asyncio.Server,
        rest: socket.socket,
        factory: Factory,
        tls: ssl.SSLContext | None,
        handshake_s: float | None,
    ) -> None:
        self._server, self._rest, self._factory, self._tls, self._handshake_s = server, rest, factory, tls, handshake_s
        self.port = int(rest.getsockname()[1])

    @classmethod
    async def open(
        cls,
        factory: Factory,
        host: str,
        port: int,
        backlog: int,
        tls: ssl.SSLContext | None = None,
        handshake_s: float | None = None,
    ) -> SharedListener:
        """Accept connections from now on; raises OSError when the address cannot be had."""
        made = bound(host, port)
        rest = made.dup()
        try:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                factory, sock=made, backlog=backlog, ssl=tls, ssl_handshake_timeout=handshake_s
            )
        except BaseException:
            made.close()
            rest.close()
            raise
        return cls(server, rest, factory, tls, handshake_s)

    async def close(self) -> None:
        """Accept what waits, and no more."""
        self._server.close()
        loop = asyncio.get_running_loop()
        waiting = []
        try:
            while True:
                waiting.append(self._rest.accept()[0])
        except OSError:
            # Nobody waits any more.
            self._rest.close()
        for connection in waiting:
            connection.setblocking(False)
            try:
                await loop.connect_accepted_socket(
                    self._factory, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_s
                )
            except OSError:  # it went away, or its handshake failed
                connection.close()
