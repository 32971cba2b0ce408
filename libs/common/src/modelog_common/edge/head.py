"""What the headers of a request say: where to, how long it may take, in which encoding, and what it brings along."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass

from modelog_common.edge.status import BINARY, Code, Metadata, Status

GRPC = b"application/grpc"
# `Timeout` of PROTOCOL-HTTP2.md.
TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# RFC 9113, section 8.2.1; tabs and bytes above 127 are let through.
BAD_IN_VALUE = re.compile(rb"[\x00\r\n]")
ONE_CONNECTIONS = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)  # RFC 9113, section 8.2.2
PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
IDENTITY = "identity"
GZIP = "gzip"
ENCODINGS = (IDENTITY, GZIP)
ACCEPTED = (b"grpc-accept-encoding", ",".join(ENCODINGS).encode())


class Malformed(Exception):
    """The headers are no HTTP/2 request."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request's headers. `refusal` is why it cannot be a call; `http` is that for what is not gRPC at all."""

    path: str
    timeout_s: float | None = None
    encoding: str = IDENTITY
    takes_gzip: bool = False
    metadata: Metadata = ()
    content_length: int | None = None
    refusal: Status | None = None
    http: tuple[int, str] | None = None
    malformed: str = ""


def head_of(fields: Iterable[tuple[bytes, bytes]], *, list_bytes: int, limit_bytes: int) -> Head:
    """The head of a request; what is wrong with it is told in it, so that it can be kept like any other."""
    try:
        return _head(fields, list_bytes, limit_bytes)
    except Malformed as error:
        return Head("", malformed=str(error))


def check_trailers(fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise Malformed when headers at the end of a request are none."""
    for name, value in fields:
        if name.startswith(b":"):
            raise Malformed("trailers have a pseudo-header")
        _check(name, value)


def _head(fields: Iterable[tuple[bytes, bytes]], list_bytes: int, limit_bytes: int) -> Head:
    pseudo: dict[bytes, bytes] = {}
    own: dict[bytes, bytes] = {}
    metadata: list[tuple[str, str | bytes]] = []
    refusal: Status | None = None
    for name, value in fields:
        if name[:1] == b":":
            if own or metadata:
                raise Malformed("a pseudo-header comes after a header")
            if name not in PSEUDO or name in pseudo:
                raise Malformed("a pseudo-header is not known, or comes twice")
            pseudo[name] = value
            continue
        _check(name, value)
        if name in (b"content-type", b"te", b"content-length") or (name.startswith(b"grpc-") and name in OWN):
            own[name] = value
        elif name.endswith(BINARY.encode()):
            try:
                metadata.extend((name.decode(), decoded) for decoded in _binaries(value))
            except ValueError:
                refusal = Status(Code.INTERNAL, f"the metadata {name.decode()} is not base64")
        else:
            # PROTOCOL-HTTP2.md, "ASCII-Value": white space around it may be stripped.
            metadata.append((name.decode(), value.strip(b" \t").decode("utf-8", "replace")))
    _check_pseudo(pseudo)
    length = _content_length(own.get(b"content-length"))
    path = pseudo[b":path"].decode("utf-8", "replace")
    if pseudo[b":method"] != b"POST":
        return Head(path, content_length=length, http=(405, "gRPC is asked with POST"))
    kind = own.get(b"content-type", b"")
    if not (kind.startswith(GRPC) and kind[len(GRPC) : len(GRPC) + 1] in (b"", b"+", b";")):
        return Head(path, content_length=length, http=(415, "the content-type is not application/grpc"))
    encoding = own.get(b"grpc-encoding", b"identity").decode("utf-8", "replace")
    accepted = own.get(b"grpc-accept-encoding", b"")
    timeout_s: float | None = None
    if b"grpc-timeout" in own:
        match = TIMEOUT.fullmatch(own[b"grpc-timeout"])
        if match is None:
            refusal = Status(Code.INTERNAL, "the grpc-timeout is malformed")
        else:
            timeout_s = int(match[1]) * SECONDS[match[2]]
    if encoding not in ENCODINGS:
        text = f"the grpc-encoding {encoding[:40]!r} is not known; known: {', '.join(ENCODINGS)}"
        refusal = Status(Code.UNIMPLEMENTED, text, extra=(ACCEPTED,))
    if list_bytes > limit_bytes:
        refusal = Status(Code.RESOURCE_EXHAUSTED, f"received metadata larger than max ({list_bytes} vs. {limit_bytes})")
    gzip = any(item.strip() == b"gzip" for item in accepted.split(b","))
    return Head(path, timeout_s, encoding, gzip, tuple(metadata), length, refusal)


OWN = frozenset((b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding", b"grpc-message-type"))


def _check(name: bytes, value: bytes) -> None:
    if NAME.fullmatch(name) is None:
        raise Malformed("a header's name is empty, or has capitals or other bytes that none may have")
    if BAD_IN_VALUE.search(value) is not None:
        raise Malformed("a header's value has bytes that none may have")
    if name in ONE_CONNECTIONS or (name == b"te" and value.lower() != b"trailers"):
        raise Malformed("a header is one of HTTP/1.1 connections")


def _check_pseudo(pseudo: dict[bytes, bytes]) -> None:
    if b":method" not in pseudo or b":scheme" not in pseudo or not pseudo.get(b":path"):
        raise Malformed("a pseudo-header is missing")


def _content_length(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise Malformed("the content-length is no number")
    return int(value)


def _binaries(value: bytes) -> list[bytes]:
    """One value, or several with commas between; padding may be left out (PROTOCOL-HTTP2.md, "Binary-Header")."""
    return [b64decode(part + b"=" * (-len(part) % 4), validate=True) for part in value.replace(b" ", b"").split(b",")]
