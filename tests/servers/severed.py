"""A way to a server that a test can cut, or fill with silence, and open again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Way:
    """Passes bytes between callers of `address` and the server, while it is open."""

    def __init__(self, to: str) -> None:
        self._to = urlsplit(to)
        self._port = 0
        self._silent = self._losing = False
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """The server's address, by this way."""
        user, _, _ = self._to.netloc.rpartition("@")
        return self._to._replace(netloc=f"{user}@127.0.0.1:{self._port}").geturl()

    async def open(self) -> None:
        """Let callers through, on the same port as before."""
        self._silent = self._losing = False
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Close every connection and refuse new ones, as when the server dies."""
        if self._server is not None:
            self._server.close()
            for caller in list(self._callers):
                caller.transport.abort()
            await self._server.wait_closed()
            self._server = None
            await asyncio.gather(*self._passing, return_exceptions=True)

    def silence(self) -> None:
        """Keep every connection and let nothing through, as when packets are dropped."""
        self._silent = True

    def lose_answers(self) -> None:
        """Let requests through, and close the connection in place of each answer, until it is opened again."""
        self._losing = True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        except OSError:
            writer.transport.abort()
            return
        self._callers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, far_writer, answers=False))
                group.create_task(self._copy(far_reader, writer, answers=True))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()
                self._callers.discard(end)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if answers and self._losing:
                    break
                if not self._silent:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def way_to(address: str) -> AsyncIterator[Way]:
    """An open way, closed at the end."""
    way = Way(address)
    await way.open()
    yield way
    await way.cut()
