"""An HTTP/2 client that may do everything wrong: it writes frames as bytes and reads what comes back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

import hpack
from edge_servicer import SERVICE, Edge
from modelog_common.edge import frames

PATIENCE_S = 150.0


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def number(self) -> int:
        """What RST_STREAM and WINDOW_UPDATE carry; of GOAWAY the error code."""
        return int.from_bytes(self.payload[4:8] if self.kind == frames.GOAWAY else self.payload[:4], "big")


class Raw:
    """One connection. Use `async with`."""

    def __init__(self, edge: Edge, *, polite: bool = True, settings: dict[int, int] | None = None) -> None:
        self._port, self._polite, self._settings = edge.port, polite, settings or {}
        self._encoder, self.decoder = hpack.Encoder(), hpack.Decoder()

    async def __aenter__(self) -> Raw:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        if self._polite:
            self.send(frames.PREFACE + frames.settings(self._settings))
            await self.until(frames.SETTINGS, 0)
            self.send(frames.frame(frames.SETTINGS, frames.ACK, 0))
            await self.until(frames.SETTINGS, frames.ACK)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:  # fmt: skip # noqa: E501
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    def request(self, stream: int = 1, method: str = "Echo", *extra: tuple[str, str], ended: bool = False) -> bytes:
        """HEADERS of a call."""
        fields = [
            (":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/{method}"), (":authority", "a"),
            ("te", "trailers"), ("content-type", "application/grpc"), *extra,
        ]  # fmt: skip
        return self.head(fields, stream, ended=ended)

    def head(self, fields: list[tuple[str, str]], stream: int = 1, *, ended: bool = False) -> bytes:
        flags = frames.END_HEADERS | (frames.END_STREAM if ended else 0)
        return frames.frame(frames.HEADERS, flags, stream, self._encoder.encode(fields))

    async def read(self) -> Frame | None:
        """The next frame; None when the connection has ended."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = await self.reader.readexactly(frames.HEAD_BYTES)
                high, low, kind, flags, stream = frames.HEAD.unpack(head)
                return Frame(kind, flags, stream, await self.reader.readexactly(high << 16 | low))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def until(self, kind: int, flags: int | None = None) -> Frame:
        """The next frame of a kind; others are passed over."""
        seen: list[Frame] = []
        while (found := await self.read()) is not None:
            if found.kind == kind and (flags is None or found.flags == flags):
                return found
            seen.append(found)
        raise AssertionError(f"the connection ended before a frame of kind {kind}; it brought {seen}")

    async def goaway(self) -> int:
        """The error code that the connection ends with, after it ended."""
        code = (await self.until(frames.GOAWAY)).number
        while await self.read() is not None:
            pass
        return code

    async def reset(self) -> tuple[int, int]:
        """The next RST_STREAM: which stream, why."""
        found = await self.until(frames.RST_STREAM)
        return found.stream, found.number

    async def fields(self) -> dict[str, str]:
        """The next HEADERS."""
        return dict(self.decoder.decode((await self.until(frames.HEADERS)).payload))

    async def ended(self) -> dict[str, str]:
        """The headers that end a stream."""
        while True:
            found = await self.until(frames.HEADERS)
            fields = dict(self.decoder.decode(found.payload))
            if found.flags & frames.END_STREAM:
                return fields

    async def alive(self) -> None:
        """Assert that the connection answers."""
        self.send(frames.frame(frames.PING, 0, 0, b"are you?"))
        assert (await self.until(frames.PING, frames.ACK)).payload == b"are you?"


def data(message: bytes, stream: int = 1, flags: int = frames.END_STREAM) -> bytes:
    """DATA of one message."""
    return frames.frame(frames.DATA, flags, stream, len(message).to_bytes(5, "big") + message)
