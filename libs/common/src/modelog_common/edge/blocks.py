"""Header blocks (RFC 7541): read over the tables of `hpack`, written so that they need no table.

A block means the same as long as the dynamic table stays as it is: one that is known is not read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import hpack
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from modelog_common.edge.frames import Code, ConnectionFault
from modelog_common.edge.head import Head, head_of
from modelog_common.edge.limits import Limits

Field = tuple[bytes, bytes]
STATIC: tuple[Field, ...] = tuple(HeaderTable.STATIC_TABLE)
# The default of SETTINGS_HEADER_TABLE_SIZE, which we leave.
TABLE_BYTES: Final = 4096
# What a field costs besides its name and value (RFC 9113, section 6.5.2).
OVERHEAD_BYTES: Final = 32
KNOWN_BLOCKS: Final = 64
KNOWN_BLOCK_BYTES: Final = 4096
# 28 bits are more than any size here needs.
LONGEST_INTEGER_BITS: Final = 28


class Unreadable(Exception):
    """The bytes are no header block."""


class HeaderReader:
    """Reads the header blocks of one connection, in order; `untouched`: the last left the table as it was."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.header_list_bytes
        self._table = HeaderTable()
        self._table.maxsize = TABLE_BYTES
        self._known: dict[bytes, Head] = {}
        self.untouched = True

    def head(self, block: bytes) -> Head:
        """What the headers of a request say."""
        known = self._known.get(block)
        if known is not None:
            return known
        fields = self.fields(block)
        size = sum(len(name) + len(value) + OVERHEAD_BYTES for name, value in fields)
        found = head_of(fields, list_bytes=size, limit_bytes=self._limit)
        if self.untouched and len(block) <= KNOWN_BLOCK_BYTES:
            if len(self._known) >= KNOWN_BLOCKS:
                self._known.clear()
            self._known[block] = found
        return found

    def fields(self, block: bytes) -> list[Field]:
        """The fields of a block; raises ConnectionFault, for the table is lost with an unreadable one."""
        self.untouched = True
        try:
            fields = self._fields(block)
        except (hpack.HPACKError, Unreadable, IndexError) as error:
            raise ConnectionFault(Code.COMPRESSION_ERROR, "the header block cannot be read") from error
        if not self.untouched:
            self._known.clear()
        return fields

    def _fields(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at, end, size = 0, len(block), 0
        while at < end:
            first = block[at]
            at += 1
            if first & 0x80:
                index = first & 0x7F
                if index == 0x7F:
                    index, at = integer(block, at, index)
                field = self._entry(index)
            elif first & 0xE0 == 0x20:
                if fields:
                    raise Unreadable
                at = self._resize(block, at, first & 0x1F)
                continue
            else:
                mask = 0x3F if first & 0x40 else 0x0F
                index = first & mask
                if index == mask:
                    index, at = integer(block, at, index)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, at = string(block, at)
                value, at = string(block, at)
                field = (name, value)
                if first & 0x40:
                    self._table.add(name, value)
                    self.untouched = False
            fields.append(field)
            # One byte may stand for a long entry of the table.
            size += len(field[0]) + len(field[1]) + OVERHEAD_BYTES
            # Twice as much is read, so that who sends too much gets an answer instead of losing the connection.
            if size > 2 * self._limit:
                raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "the headers are too large")
        return fields

    def _entry(self, index: int) -> Field:
        if 0 < index <= len(STATIC):
            return STATIC[index - 1]
        if index == 0:
            raise Unreadable
        name, value = self._table.dynamic_entries[index - len(STATIC) - 1]
        return name, value

    def _resize(self, block: bytes, at: int, size: int) -> int:
        if size == 0x1F:
            size, at = integer(block, at, size)
        if size > TABLE_BYTES:
            raise Unreadable
        self._table.maxsize = size
        self.untouched = False
        return at


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
