"""Header blocks (RFC 7541): read with `hpack`, or faster where no dynamic table is used; written without one.

We advertise a table of no bytes: then a block means the same whenever it comes, and one that is known need not be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import hpack
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from modelog_common.edge.frames import Code, ConnectionFault
from modelog_common.edge.head import Head, head_of
from modelog_common.edge.limits import Limits

Field = tuple[bytes, bytes]
STATIC: tuple[Field, ...] = tuple(HeaderTable.STATIC_TABLE)
# What a field costs besides its name and value (RFC 9113, section 6.5.2).
OVERHEAD_BYTES = 32
KNOWN_BLOCKS = 64
KNOWN_BLOCK_BYTES = 4096
# 32 bits are more than any size here needs.
LONGEST_INTEGER_BITS = 28


class Unreadable(Exception):
    """The bytes are no header block."""


class HeaderReader:
    """Reads the header blocks of one connection, in order."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.header_list_bytes
        # Twice as much is read, so that who sends too much gets an answer instead of losing the connection.
        self._decoder = hpack.Decoder(max_header_list_size=2 * limits.header_list_bytes)
        self._known: dict[bytes, Head] = {}

    def table_is_gone(self) -> None:
        """The peer acknowledged our SETTINGS: its next block has to begin with giving up its table."""
        self._decoder.max_allowed_table_size = 0
        self._known.clear()

    def head(self, block: bytes) -> Head:
        """What the headers of a request say."""
        known = self._known.get(block)
        if known is not None:
            return known
        free = self._decoder.header_table.maxsize == 0
        fields = self.fields(block)
        found = head_of(fields, list_bytes=size_of(fields), limit_bytes=self._limit)
        if free and self._decoder.header_table.maxsize == 0 and len(block) <= KNOWN_BLOCK_BYTES:
            if len(self._known) >= KNOWN_BLOCKS:
                self._known.clear()
            self._known[block] = found
        return found

    def fields(self, block: bytes) -> list[Field]:
        """The fields of a block; raises ConnectionFault, for the table is lost with an unreadable one."""
        try:
            fields = plain_fields(block) if self._decoder.header_table.maxsize == 0 else None
            if fields is None:
                return [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except hpack.OversizedHeaderListError as error:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "the headers are too large") from error
        except (hpack.HPACKError, Unreadable, IndexError) as error:
            raise ConnectionFault(Code.COMPRESSION_ERROR, "the header block cannot be read") from error
        if size_of(fields) > 2 * self._limit:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "the headers are too large")
        return fields


def size_of(fields: Iterable[Field]) -> int:
    """The size of a header list as SETTINGS_MAX_HEADER_LIST_SIZE counts it."""
    return sum(len(name) + len(value) + OVERHEAD_BYTES for name, value in fields)


def plain_fields(block: bytes) -> list[Field] | None:
    """The fields of a block while the dynamic table has no room; None where only a decoder can tell."""
    fields: list[Field] = []
    at, end = 0, len(block)
    while at < end:
        first = block[at]
        at += 1
        if first & 0x80:
            index = first & 0x7F
            if not 0 < index <= len(STATIC):
                return None
            fields.append(STATIC[index - 1])
            continue
        if first & 0xE0 == 0x20:
            return None
        mask = 0x3F if first & 0x40 else 0x0F
        index = first & mask
        if index == mask:
            index, at = integer(block, at, index)
        if index > len(STATIC):
            return None
        if index:
            name = STATIC[index - 1][0]
        else:
            name, at = string(block, at)
        value, at = string(block, at)
        fields.append((name, value))
    return fields


def string(block: bytes, at: int) -> tuple[bytes, int]:
    """A string literal (RFC 7541, section 5.2), and where it ends."""
    first = block[at]
    at += 1
    size = first & 0x7F
    if size == 0x7F:
        size, at = integer(block, at, size)
    end = at + size
    if end > len(block):
        raise Unreadable
    found = block[at:end]
    return (unhuffed(found) if first & 0x80 else found), end


def integer(block: bytes, at: int, value: int) -> tuple[int, int]:
    """What follows the full prefix of an integer (RFC 7541, section 5.1), and where it ends."""
    for shift in range(0, LONGEST_INTEGER_BITS, 7):
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Unreadable


@lru_cache(maxsize=256)
def unhuffed(value: bytes) -> bytes:
    return decode_huffman(value)


def written(fields: Iterable[Field]) -> bytes:
    """A block that neither uses nor fills the peer's table, so that it may be sent at any time."""
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)
