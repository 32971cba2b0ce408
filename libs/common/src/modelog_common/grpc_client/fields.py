"""The header block of a request, written so that it needs no table (RFC 7541, section 6.2.3)."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

from modelog_common.edge.status import BINARY

# PROTOCOL-HTTP2.md, "Header-Name" and "ASCII-Value".
NAME: Final = re.compile(r"[0-9a-z_.\-]+")
VALUE: Final = re.compile(r"[ -~]*")
NEVER_INDEXED: Final = b"\x10"
SHORT: Final = 0x7F
# "TimeoutValue" has eight digits at most.
MOST_TIMEOUT: Final = 99_999_999
KNOWN_NAMES: Final = 256
# Names as they are written, and whether their values are bytes.
_names: Final[dict[str, tuple[bytes, bool]]] = {}
_lengths: Final = [bytes((size,)) for size in range(SHORT)]


def metadata_block(metadata: Iterable[tuple[str, str | bytes]]) -> bytes:
    """Metadata as it travels; raises ValueError for names and values that may not."""
    parts: list[bytes] = []
    for name, value in metadata:
        known = _names.get(name)
        written, binary = _named(name) if known is None else known
        parts.append(written)
        if binary:
            data = b64encode(value.encode() if isinstance(value, str) else value).rstrip(b"=")
        elif isinstance(value, str):
            if VALUE.fullmatch(value) is None:
                raise ValueError(f"the metadata {name} has a value with characters that none may have")
            data = value.encode()
        else:
            raise ValueError(f"the metadata {name} has bytes as its value, which only names that end in -bin may have")
        size = len(data)
        parts.append(_lengths[size] if size < SHORT else _length(size))
        parts.append(data)
    return b"".join(parts)


def timeout_text(seconds: float) -> str:
    """As `grpc-timeout` says it: never less than it is, in milliseconds unless it is more than a day."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds <= MOST_TIMEOUT:
        return f"{max(milliseconds, 1)}m"
    return f"{min(math.ceil(seconds), MOST_TIMEOUT)}S"


def _named(name: str) -> tuple[bytes, bool]:
    if NAME.fullmatch(name) is None:
        raise ValueError(f"the metadata's name {name!r} has characters that none may have")
    if len(_names) >= KNOWN_NAMES:
        _names.clear()
    encoded = name.encode()
    known = (NEVER_INDEXED + _length(len(encoded)) + encoded, name.endswith(BINARY))
    _names[name] = known
    return known


def _length(size: int) -> bytes:
    """The length of a string that is not Huffman's (RFC 7541, sections 5.1 and 5.2)."""
    if size < SHORT:
        return bytes((size,))
    parts = bytearray((SHORT,))
    size -= SHORT
    while size >= 0x80:
        parts.append(size & 0x7F | 0x80)
        size >>= 7
    parts.append(size)
    return bytes(parts)
