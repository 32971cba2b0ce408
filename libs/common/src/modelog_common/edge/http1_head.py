"""The head of a plain request of HTTP/1.1: one that needs nothing unusual of who answers it."""

from __future__ import annotations

from functools import lru_cache

import httptools

HEADERS_MOST = 100
# The heads of a caller's requests are alike: what such a one says is kept of so many.
KEPT, KEPT_BYTES = 512, 2048
# With one of these a request is not plain.
NOT_PLAIN = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade", "trailer", "te"})


class Head:
    """What httptools tells of the head of a request."""

    def __init__(self) -> None:
        self.verb, self.target = "", b""
        self.path, self.query = "", ""
        self.headers: dict[str, str] = {}
        self.count = 0
        self.ended = 0
        self.keeps_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.count += 1
        self.headers.setdefault(name.decode("ascii").lower(), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        self.ended += 1
        # When the request has ended the parser has forgotten it.
        self.keeps_alive = self.parser.should_keep_alive()


def head_of(data: bytes) -> Head | None:
    """The head of a plain request, which nobody may change; None for any other."""
    return _kept(data) if len(data) <= KEPT_BYTES else _parsed(data)


def _parsed(data: bytes) -> Head | None:
    head = Head()
    try:
        head.parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if head.ended != 1 or head.parser.get_http_version() != "1.1" or not head.keeps_alive:
        return None
    if head.count > HEADERS_MOST or "host" not in head.headers or not NOT_PLAIN.isdisjoint(head.headers):
        return None
    # Of the other forms of an address, a proxy's and that of OPTIONS, none is plain.
    if not head.target.startswith(b"/") or not head.target.isascii() or b"#" in head.target:
        return None
    head.verb = head.parser.get_method().decode()
    # They hold each other.
    del head.parser
    head.path, _, head.query = head.target.decode().partition("?")
    return head


_kept = lru_cache(KEPT)(_parsed)


def length_of(head: Head, most: int) -> int | None:
    """The length of the body; None when it is too long. That it is a number httptools has seen to."""
    length = int(head.headers.get("content-length") or 0)
    return length if length <= most else None
