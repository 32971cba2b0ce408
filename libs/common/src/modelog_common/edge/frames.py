"""HTTP/2 frames as bytes, and the faults that a peer's frames can have (RFC 9113, sections 4 to 7)."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Kinds of frames and their flags. What is Final is a number in the compiled code, not looked up.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9
END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITISED: Final = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME_BYTES: Final = 16_384
LARGEST_FRAME_BYTES: Final = 0xFFFFFF
LARGEST_WINDOW: Final = 0x7FFFFFFF
LARGEST_STREAM: Final = 0x7FFFFFFF

HEAD: Final = Struct(">BHBBI")
HEAD_BYTES: Final = 9
LONG: Final = Struct(">I")
SETTING: Final = Struct(">HI")


class Code(IntEnum):
    """Error codes (RFC 9113, section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    ENHANCE_YOUR_CALM = 0xB


class ConnectionFault(Exception):
    """The peer broke the protocol in a way that ends the connection."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class StreamFault(Exception):
    """The peer broke the protocol in a way that ends one stream."""

    def __init__(self, stream: int, code: Code, text: str) -> None:
        super().__init__(text)
        self.stream, self.code = stream, code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def head(size: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine bytes before a payload of `size` bytes."""
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream)


def whole_answer(stream: int, first: bytes, prefix: bytes, message: bytes, last: bytes) -> bytes:
    """HEADERS, DATA with what comes behind its prefix, and HEADERS that end the stream; each fits into a frame."""
    number = LONG.pack(stream)
    return b"".join((
        _known_head(len(first), HEADERS, END_HEADERS), number, first,
        _known_head(len(prefix) + len(message), DATA, 0), number, prefix, message,
        _known_head(len(last), HEADERS, END_HEADERS | END_STREAM), number, last,
    ))  # fmt: skip


def whole_request(stream: int, block: bytes, data: bytes) -> bytes:
    """HEADERS, and DATA that ends the stream; each fits into a frame."""
    number = LONG.pack(stream)
    return b"".join((
        _known_head(len(block), HEADERS, END_HEADERS), number, block,
        _known_head(len(data), DATA, END_STREAM), number, data,
    ))  # fmt: skip


# Heads but for the number of their stream: answers of a server have few sizes, and so have a client's requests.
KNOWN_HEADS: Final = 4096
_heads: Final[dict[int, bytes]] = {}


def _known_head(size: int, kind: int, flags: int) -> bytes:
    key = size << 16 | kind << 8 | flags
    known = _heads.get(key)
    if known is None:
        if len(_heads) >= KNOWN_HEADS:
            _heads.clear()
        known = _heads[key] = head(size, kind, flags, 0)[:5]
    return known


def settings(values: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(name, value) for name, value in values.items()))


def window_update(stream: int, more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, LONG.pack(more))


def rst_stream(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, LONG.pack(code))


def goaway(last_stream: int, code: int, text: str = "") -> bytes:
    return frame(GOAWAY, 0, 0, LONG.pack(last_stream) + LONG.pack(code) + text.encode()[:200])


def headers(stream: int, block: bytes, flags: int, frame_bytes: int) -> bytes:
    """A header block in as many frames as its size needs."""
    if len(block) <= frame_bytes:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    parts = [block[at : at + frame_bytes] for at in range(0, len(block), frame_bytes)]
    made = [frame(HEADERS, flags, stream, parts[0])]
    made.extend(frame(CONTINUATION, 0, stream, part) for part in parts[1:-1])
    made.append(frame(CONTINUATION, END_HEADERS, stream, parts[-1]))
    return b"".join(made)


def unpadded(payload: bytes, flags: int) -> bytes:
    """What is left of a DATA or HEADERS payload without its padding (RFC 9113, sections 6.1 and 6.2)."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a padded frame has no length of its padding")
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionFault(Code.PROTOCOL_ERROR, "the padding is longer than the frame")
    return payload[1 : len(payload) - padding]
