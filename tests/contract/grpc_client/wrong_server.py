"""An HTTP/2 server that may do everything wrong: what each of its connections says is written in the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import hpack
from modelog_common.edge import frames
from modelog_common.edge.frames import END_HEADERS, END_STREAM

PATIENCE_S = 150.0
FIRST = ((":status", "200"), ("content-type", "application/grpc"))


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class Request(NamedTuple):
    stream: int
    fields: dict[str, str]
    message: bytes


class Peer:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._over = asyncio.Event()
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def greet(self, settings: dict[int, int] | None = None) -> None:
        """Take the client's preface and say SETTINGS."""
        assert await self.reader.readexactly(len(frames.PREFACE)) == frames.PREFACE
        assert (await self.read()).kind == frames.SETTINGS
        self.send(frames.settings(settings or {}))

    async def read(self) -> Frame:
        """The next frame."""
        async with asyncio.timeout(PATIENCE_S):
            high, low, kind, flags, stream = frames.HEAD.unpack(await self.reader.readexactly(frames.HEAD_BYTES))
            return Frame(kind, flags, stream, await self.reader.readexactly(high << 16 | low))

    async def until(self, kind: int, flags: int | None = None) -> Frame:
        """The next frame of a kind; others are passed over."""
        while True:
            found = await self.read()
            if found.kind == kind and (flags is None or found.flags == flags):
                return found

    async def headers(self) -> Request:
        """The next request, of which the message has not come."""
        found = await self.until(frames.HEADERS)
        assert found.flags & END_HEADERS
        return Request(found.stream, dict(self._decoder.decode(found.payload)), b"")

    async def request(self) -> Request:
        """The next request, whole."""
        begun = await self.headers()
        data = bytearray()
        while True:
            part = await self.until(frames.DATA)
            data += part.payload
            if part.flags & END_STREAM:
                assert data[:5] == b"\0" + (len(data) - 5).to_bytes(4, "big")
                return begun._replace(message=bytes(data[5:]))

    async def stay(self) -> None:
        """Keep the connection until the test is over."""
        await self._over.wait()

    def over(self) -> None:
        self._over.set()

    async def closed(self) -> bool:
        """Whether the client closes the connection; what it says before is passed over."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self.read()
        return True

    def block(self, *fields: tuple[str, str]) -> bytes:
        return self._encoder.encode(fields)

    def head(self, stream: int, *fields: tuple[str, str], ended: bool = False) -> bytes:
        flags = END_HEADERS | (END_STREAM if ended else 0)
        return frames.frame(frames.HEADERS, flags, stream, self.block(*fields))

    def answer(self, stream: int, message: bytes = b"", *trailers: tuple[str, str]) -> None:
        """All of an answer that is as it should be."""
        self.send(self.head(stream, *FIRST), data(stream, message))
        self.send(self.head(stream, ("grpc-status", "0"), *trailers, ended=True))

    def refuse(self, stream: int, code: int, *trailers: tuple[str, str]) -> None:
        """Nothing but a status."""
        self.send(self.head(stream, *FIRST, ("grpc-status", str(code)), *trailers, ended=True))


Script = Callable[[Peer], Awaitable[None]]


def prefixed(message: bytes, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(message).to_bytes(4, "big") + message


def data(stream: int, message: bytes, *, flag: int = 0, ended: bool = False) -> bytes:
    """A message in one frame."""
    return frames.frame(frames.DATA, END_STREAM if ended else 0, stream, prefixed(message, flag))


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[str]:
    """An address whose first connection goes by the first script, and so on; all scripts must have come to their end.

    A connection is closed when its script ends.
    """
    left = list(scripts)
    running: list[asyncio.Task[None]] = []
    peers: list[Peer] = []

    async def run(script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        finally:
            peer.writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if left:
            peers.append(Peer(reader, writer))
            running.append(asyncio.create_task(run(left.pop(0), peers[-1])))
        else:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for peer in peers:
            peer.over()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*running)
        assert not left, f"{len(left)} connections were never made"
    finally:
        for task in running:
            task.cancel()
        server.close()
