"""What a header block of an answer says: headers, trailers, or both at once, and which status it comes to."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from modelog_common.edge.blocks import KNOWN_BLOCK_BYTES, KNOWN_BLOCKS, OVERHEAD_BYTES, Field, HeaderReader
from modelog_common.edge.head import ENCODINGS, GRPC, IDENTITY
from modelog_common.edge.limits import Limits
from modelog_common.edge.status import BINARY, CODES, Code, Metadata, Status

# http-grpc-status-mapping.md
OF_HTTP: Final = {
    400: Code.INTERNAL, 401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED, 404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE, 502: Code.UNAVAILABLE, 503: Code.UNAVAILABLE, 504: Code.UNAVAILABLE,
}  # fmt: skip
# PROTOCOL-HTTP2.md, "Errors", by the codes of RST_STREAM; all others are INTERNAL.
OF_RESET: Final = {
    0x7: Code.UNAVAILABLE, 0x8: Code.CANCELLED, 0xB: Code.RESOURCE_EXHAUSTED, 0xC: Code.PERMISSION_DENIED,
}  # fmt: skip
NO_STATUS: Final = Status(Code.UNKNOWN, "the answer ended without a status")
BINARY_END: Final = BINARY.encode()
# Headers of the protocol itself, which are no metadata.
OWN: Final = frozenset((b"content-type", b"content-length", b"grpc-encoding", b"grpc-accept-encoding", b"te"))


class Part(NamedTuple):
    """One header block. `http` is 0 in trailers; `status` is None without a `grpc-status`; `refusal` is what is wrong
    with it for a call, `malformed` for HTTP/2."""

    http: int
    encoding: str
    status: Status | None
    metadata: Metadata
    refusal: Status | None = None
    malformed: str = ""


class AnswerReader:
    """Reads the header blocks that one connection's peer sends, in order; those that are known are not read again."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.header_list_bytes
        self._reader = HeaderReader(limits)
        self._known: dict[bytes, Part] = {}

    def part(self, block: bytes) -> Part:
        """What a block says; raises ConnectionFault, for the table is lost with an unreadable one."""
        known = self._known.get(block)
        if known is not None:
            return known
        fields = self._reader.fields(block)
        size = 0
        for name, value in fields:
            size += len(name) + len(value) + OVERHEAD_BYTES
        found = part_of(fields)
        if size > self._limit:
            text = f"received metadata larger than max ({size} vs. {self._limit})"
            found = found._replace(refusal=Status(Code.RESOURCE_EXHAUSTED, text))
        if not self._reader.untouched or len(self._known) >= KNOWN_BLOCKS:
            self._known.clear()
        if self._reader.untouched and len(block) <= KNOWN_BLOCK_BYTES:
            self._known[block] = found
        return found


def part_of(fields: Iterable[Field]) -> Part:
    http, number, text, kind, encoding = 0, b"", b"", b"", IDENTITY
    metadata: list[tuple[str, str | bytes]] = []
    malformed = ""
    refusal: Status | None = None
    for name, value in fields:
        if name == b":status":
            if http or not value.isdigit() or len(value) != 3:
                malformed = "the :status is no number, or comes twice"
            else:
                http = int(value)
        elif name[:1] == b":":
            malformed = "an answer has a pseudo-header that only requests have"
        elif name == b"grpc-status":
            number = value
        elif name == b"grpc-message":
            text = value
        elif name in OWN:
            if name == b"content-type":
                kind = value
            elif name == b"grpc-encoding":
                encoding = value.decode("utf-8", "replace")
        elif name.endswith(BINARY_END):
            try:
                metadata.extend((name.decode(), decoded) for decoded in binaries(value))
            except ValueError:
                refusal = Status(Code.INTERNAL, f"the metadata {name!r} of the answer is not base64")
        else:
            metadata.append((name.decode("utf-8", "replace"), value.strip(b" \t").decode("utf-8", "replace")))
    told = tuple(metadata)
    status = None if not number else Status(code_of(number), percent_decoded(text), told)
    if status is None and http:
        refusal = refusal or _refusal(http, kind, encoding)
    return Part(http, encoding, status, told, refusal, malformed)


def _refusal(http: int, kind: bytes, encoding: str) -> Status | None:
    """Why headers are not those of an answer of gRPC."""
    shown = kind[:80].decode("utf-8", "replace")
    if http != 200:
        return Status(OF_HTTP.get(http, Code.UNKNOWN), f"the answer is HTTP's {http}, with the content-type {shown!r}")
    if not (kind.startswith(GRPC) and kind[len(GRPC) : len(GRPC) + 1] in (b"", b"+", b";")):
        return Status(Code.UNKNOWN, f"the answer has the content-type {shown!r}, which is not gRPC's")
    if encoding not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        return Status(Code.INTERNAL, f"the answer has the grpc-encoding {encoding[:40]!r}; known: {known}")
    return None


def code_of(number: bytes) -> Code:
    """The code of a `grpc-status`; UNKNOWN for one that there is not."""
    if not number.isdigit() or len(number) > 9:
        return Code.UNKNOWN
    return CODES.get(int(number), Code.UNKNOWN)


def percent_decoded(text: bytes) -> str:
    """A `grpc-message`; what is wrong in it is left as it is."""
    return (unquote_to_bytes(text) if b"%" in text else text).decode("utf-8", "replace")


def binaries(value: bytes) -> list[bytes]:
    """One value, or several with commas between; padding may be left out (PROTOCOL-HTTP2.md, "Binary-Header")."""
    return [b64decode(part + b"=" * (-len(part) % 4), validate=True) for part in value.replace(b" ", b"").split(b",")]
