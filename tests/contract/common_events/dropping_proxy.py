"""A TCP proxy that keeps a server's answers back, and then cuts the connections: the network at its worst."""

from __future__ import annotations

import asyncio


class DroppingProxy:
    """Listens on `port` of the loopback and passes everything on to a server, until it is told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._server_address = (host, port)
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._answers, self._questions = asyncio.Event(), asyncio.Event()
        self._answers.set()
        self._questions.set()
        self._refusing = False
        self.port = 0

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    def hold_answers(self) -> None:
        """From now on, what the server says does not arrive; what it is told does."""
        self._answers.clear()

    def hold_everything(self) -> None:
        """From now on, nothing passes in either direction, and nobody is told."""
        self._questions.clear()
        self._answers.clear()

    def cut(self, *, refuse: bool) -> None:
        """End every connection; refuse new ones until `mend`."""
        self._refusing = refuse
        for writer in list(self._open):
            writer.transport.abort()
        self._questions.set()
        self._answers.set()

    def mend(self) -> None:
        """Accept connections again."""
        self._refusing = False

    async def close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut(refuse=True)
        await self._listener.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        to_server, from_server = writer, writer
        try:
            server_reader, to_server = await asyncio.open_connection(*self._server_address)
            self._open |= {writer, to_server}
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, to_server, held=self._questions))
                group.create_task(self._pass_on(server_reader, from_server, held=self._answers))
        except* OSError:
            pass
        finally:
            self._open -= {writer, to_server}

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: asyncio.Event
    ) -> None:
        try:
            while data := await reader.read(65536):
                await held.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()
