"""The ports that workers share: had by the process that decides, which never listens on them, as long as it runs."""

from __future__ import annotations

import asyncio
import socket
import time

from modelog_common.domain.errors import Unavailable
from modelog_common.edge.shared_port import bound

# Workers of a process that was killed may need a moment to see that it is gone.
PATIENCE_S = 5.0
AGAIN_S = 0.1


class Port:
    """An address that no other program can have meanwhile, unless it asks to share it."""

    def __init__(self, held: socket.socket) -> None:
        self._held = held
        self.number = int(held.getsockname()[1])

    @classmethod
    async def take(cls, host: str, port: int, variable: str) -> Port:
        """Port 0 for a free one; raises Unavailable, naming the variable, when somebody listens there."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if port:
                    # Sharing would succeed beside another installation that shares it, too.
                    bound(host, port, shared=False).close()
                return cls(bound(host, port))
            except OSError as error:
                if time.monotonic() > until:
                    raise Unavailable(
                        f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port with "
                        f"{variable} (0 takes a free one)"
                    ) from error
            await asyncio.sleep(AGAIN_S)

    async def close(self) -> None:
        """Let others have it."""
        self._held.close()
