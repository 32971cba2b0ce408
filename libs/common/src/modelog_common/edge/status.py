"""How a call ended, as headers: a code, a text in percent-encoding, metadata."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import NamedTuple

import grpc

Metadata = tuple[tuple[str, str | bytes], ...]
BINARY = "-bin"
Code = grpc.StatusCode
NUMBERS: dict[grpc.StatusCode, int] = {code: code.value[0] for code in grpc.StatusCode}
CODES = {number: code for code, number in NUMBERS.items()}
# PROTOCOL-HTTP2.md, "Percent-Byte-Unencoded": space to tilde but for the percent sign.
ENCODED = re.compile(rb"[^ -$&-~]")


class Status(NamedTuple):
    """The end of a call. `extra` are headers of the protocol itself."""

    code: grpc.StatusCode
    text: str = ""
    metadata: Metadata = ()
    extra: tuple[tuple[bytes, bytes], ...] = ()

    def fields(self) -> list[tuple[bytes, bytes]]:
        """The trailers."""
        found = [(b"grpc-status", b"%d" % NUMBERS[self.code])]
        if self.text:
            found.append((b"grpc-message", percent_encoded(self.text)))
        found += self.extra
        found += metadata_fields(self.metadata)
        return found


OK = Status(Code.OK)


def percent_encoded(text: str) -> bytes:
    return ENCODED.sub(lambda found: b"%%%02X" % found[0][0], text.encode("utf-8", "replace"))


def metadata_fields(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    """Metadata as headers: values of names that end in -bin are bytes and travel in base64."""
    fields = []
    for name, value in metadata:
        if name.endswith(BINARY):
            data = value.encode() if isinstance(value, str) else value
            fields.append((name.encode(), b64encode(data).rstrip(b"=")))
        else:
            fields.append((name.encode(), value.encode() if isinstance(value, str) else value))
    return fields
