"""Pieces of protobuf's wire format, for messages that are joined from bytes that are ready.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations


def varint(value: int) -> bytes:
    """A number that is not negative."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def head(tag: int, size_bytes: int) -> bytes:
    """What stands before a field that has a length: its tag, which is below 128, and that length."""
    return bytes((tag,)) + varint(size_bytes)
