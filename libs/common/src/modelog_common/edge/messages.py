"""The messages in a request's DATA: taken apart, decompressed, and bounded in size."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from struct import Struct
from typing import Final

from modelog_common.edge.head import GZIP
from modelog_common.edge.status import Code, Status

PREFIX: Final = Struct(">BI")
PREFIX_BYTES: Final = 5
# zlib's way to say: gzip.
GZIP_WINDOW: Final = 31
GZIP_LEVEL: Final = 1
# What a message that waits costs besides its bytes.
OVERHEAD_BYTES: Final = 64


class BadMessage(Exception):
    """The bytes are no messages, or too large ones; `status` says it to the caller."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.status = Status(code, text)


class Incoming:
    """The messages of one request, in order."""

    __slots__ = ("_buffer", "_encoding", "_limit", "messages", "waiting_bytes")

    def __init__(self, encoding: str, limit: int) -> None:
        self._encoding, self._limit = encoding, limit
        self._buffer = bytearray()
        self.messages: deque[bytes] = deque()
        self.waiting_bytes = 0

    @property
    def partial_bytes(self) -> int:
        """What there is of a message that is not whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what came; raises BadMessage."""
        if not self._buffer:
            at = self._whole(data)
            if at < len(data):
                self._buffer += memoryview(data)[at:]
                self._check_size(self._buffer)
            return
        self._buffer += data
        size = self._check_size(self._buffer)
        if size is not None and len(self._buffer) >= PREFIX_BYTES + size:
            whole = bytes(self._buffer)
            self._buffer.clear()
            self.feed(whole)

    def take(self) -> bytes:
        message = self.messages.popleft()
        self.waiting_bytes -= len(message) + OVERHEAD_BYTES
        return message

    def _whole(self, data: bytes) -> int:
        """Take the messages that are whole; returns where the rest begins."""
        at, end = 0, len(data)
        while end - at >= PREFIX_BYTES:
            flag, size = PREFIX.unpack_from(data, at)
            after = at + PREFIX_BYTES + size
            if flag > 1 or size > self._limit:
                self._refuse(flag, size)
            if after > end:
                break
            message = data[at + PREFIX_BYTES : after]
            if flag:
                message = decompressed(message, self._encoding, self._limit)
            self.messages.append(message)
            self.waiting_bytes += len(message) + OVERHEAD_BYTES
            at = after
        return at

    def _check_size(self, buffer: bytearray) -> int | None:
        if len(buffer) < PREFIX_BYTES:
            return None
        flag, size = PREFIX.unpack_from(buffer)
        if flag > 1 or size > self._limit:
            self._refuse(flag, size)
        return int(size)

    def _refuse(self, flag: int, size: int) -> None:
        if flag > 1:
            raise BadMessage(Code.INTERNAL, f"the compressed-flag of a message is {flag}; allowed: 0 and 1")
        raise BadMessage(Code.RESOURCE_EXHAUSTED, f"received message larger than max ({size} vs. {self._limit})")


def decompressed(message: bytes, encoding: str, limit: int) -> bytes:
    """A compressed message's content, of which no more than the limit is ever made."""
    if encoding != GZIP:
        raise BadMessage(Code.INTERNAL, "a message has the compressed-flag, but the call has no grpc-encoding")
    inflate = zlib.decompressobj(GZIP_WINDOW)
    try:
        content = inflate.decompress(message, limit + 1)
    except zlib.error as error:
        raise BadMessage(Code.INTERNAL, "a compressed message is not gzip") from error
    if len(content) > limit:
        raise BadMessage(Code.RESOURCE_EXHAUSTED, f"received message larger than max when decompressed ({limit})")
    if not inflate.eof or inflate.unused_data:
        raise BadMessage(Code.INTERNAL, "a compressed message is not one whole gzip")
    return content


def prefixed(message: bytes, *, compress: bool) -> bytes:
    """A message as it is sent."""
    if compress:
        message = gzip.compress(message, GZIP_LEVEL, mtime=0)
    return PREFIX.pack(compress, len(message)) + message
