"""Requests and answers of HTTP/1.1 as their handlers see them, and what an answer begins with on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

NO_BODY = frozenset({204, 304})


class Request(NamedTuple):
    """`headers` by their names in lower case; of several with one name, the first. `query` is as it was sent."""

    verb: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Answer:
    """`headers` are those besides Content-Type, Content-Length, Date and Connection."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Handle = Callable[[Request], Awaitable[Answer]]
Find = Callable[[str, str], Handle | None]


def first_bytes(answer: Answer, is_last: bool, second: int) -> bytes:
    """Everything before the body. `second` is that of the loop's clock: within one, the date stays."""
    more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    if more.count("\n") != len(answer.headers) or more.count("\r") != len(answer.headers):
        raise ValueError(f"a header of an answer has a line break: {answer.headers}")
    length = "" if answer.status in NO_BODY else f"Content-Length: {len(answer.body)}\r\n"
    closing = "Connection: close\r\n" if is_last else ""
    start = _start_of(answer.status, answer.content_type)
    return f"{start}{length}Date: {_date_of(second)}\r\n{closing}{more}\r\n".encode("utf-8", "surrogateescape")


@lru_cache(maxsize=200)
def _start_of(status: int, content_type: str) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {content_type}\r\n"


@lru_cache(maxsize=1)
def _date_of(_second: int) -> str:
    return formatdate(usegmt=True)
