"""One HTTP connection pool to the gateway: tokens, retries, problem documents as errors."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from threading import Lock
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Sequence, Set, Type, TypeVar

import httpx
import msgspec

from modelog.errors import ModelogError, NotAllowed, Unavailable, error_from

T = TypeVar("T")


class Page(Protocol):
    """A part of a list; without a token it is the last one."""

    next_page_token: str


P = TypeVar("P", bound=Page)
E = TypeVar("E")
RETRIES = 6
FIRST_PAUSE_S = 0.1
PIECE_BYTES = 1024 * 1024
_MET: Set[type] = set()
_MEETING = Lock()
# What the platform gives at once, at most.
PAGE = 1000


def pages(page_after: Callable[[str], P]) -> Iterator[P]:
    """Every page of a list: each is read by the token of the one before, the first by none."""
    token = ""
    while True:
        page = page_after(token)
        yield page
        token = page.next_page_token
        if not token:
            return


def gather(
    page_after: Callable[[str, int], P], entries: Callable[[P], Sequence[E]], limit: Optional[int] = None
) -> List[E]:
    """All `entries` of a list, or its first `limit`; a page is asked for by its token and its size."""
    found: List[E] = []

    def after(token: str) -> P:
        return page_after(token, PAGE if limit is None else min(limit - len(found), PAGE))

    for page in pages(after):
        found.extend(entries(page))
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


class Transport:
    """Calls of the gateway's REST interface.

    A call that finds the platform away is tried again with growing pauses, about six seconds in all. That is safe:
    every changing call carries a request id, and the platform acts on an id once.

    With `as_of` (a position or an RFC 3339 time) every question that takes one, and does not bring its own, is asked as
    of that moment, and what would change something is refused: whoever looks at the past changes nothing by mistake.
    """

    def __init__(self, url: str, token: str, timeout_s: float = 60.0, as_of: Optional[str] = None) -> None:
        self.url = url.rstrip("/")
        self.as_of = as_of
        self.authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self.url, timeout=timeout_s, headers=self.authorization)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, answer: Type[T], **query: Any) -> T:
        """GET with query parameters; those that are None are left out. A question that takes `as_of` names it."""
        if "as_of" in query:
            query["as_of"] = query["as_of"] or self.as_of
        response = self._send("GET", path, params={k: v for k, v in query.items() if v is not None})
        return convert(response.json(), answer)

    def post(self, path: str, answer: Type[T], body: Mapping[str, Any], *, repeatable: bool = False) -> T:
        """POST a JSON body; a request id is added, except for calls that are `repeatable` as they are."""
        fields: Dict[str, Any] = {k: v for k, v in body.items() if v is not None}
        if not repeatable:
            self.present("this")
            fields.setdefault("request_id", str(uuid.uuid4()))
        return convert(self._send("POST", path, json=msgspec.to_builtins(fields)).json(), answer)

    def every(
        self,
        path: str,
        answer: Type[P],
        entries: Callable[[P], Sequence[E]],
        *,
        limit: Optional[int] = None,
        **query: Any,
    ) -> List[E]:
        """All `entries` of a list, or its first `limit`, read page by page."""

        def after(token: str, size: int) -> P:
            return self.get(path, answer, page_size=size, page_token=token or None, **query)

        return gather(after, entries, limit)

    def ask(
        self,
        path: str,
        answer: Type[T],
        body: Mapping[str, Any],
        *,
        as_of: Optional[str] = None,
        page_token: str = "",
        page_size: int = PAGE,
    ) -> T:
        """A question that does not fit into an address: a POST that changes nothing."""
        page = {"size": page_size, "token": page_token}
        fields = {**body, "read": {"as_of": as_of or self.as_of or ""}, "page": page}
        return convert(self._send("POST", path, json=msgspec.to_builtins(fields)).json(), answer)

    def put_bytes(self, path: str, content: bytes, sha256: str) -> Dict[str, Any]:
        """Upload; the platform refuses content whose SHA-256 is another one."""
        self.present("an upload")
        headers = {"X-Content-SHA256": sha256, "Content-Type": "application/octet-stream"}
        answer = self._send("PUT", path, content=content, headers=headers).json()
        return dict(answer)

    def put_file(self, path: str, file: Path, sha256: str) -> None:
        """Upload a file in pieces, read anew for each try; refused like bytes."""
        self.present("an upload")
        headers = {"X-Content-SHA256": sha256, "Content-Type": "application/octet-stream"}
        self._send("PUT", path, content=_Pieces(file), headers=headers)

    def get_bytes(self, path: str) -> bytes:
        return self._send("GET", path).content

    def lines(self, path: str, **query: Any) -> Iterator[str]:
        """The lines of a stream that does not end by itself."""
        with self._client.stream("GET", path, params=query, timeout=httpx.Timeout(30.0, read=None)) as response:
            if response.status_code >= 400:
                response.read()
                raise _problem(response)
            yield from response.iter_lines()

    def present(self, what: str) -> None:
        """Raises NotAllowed when this client looks at the past, where `what` cannot be done."""
        if self.as_of:
            raise NotAllowed(
                f"this client looks at the past (as_of={self.as_of}), where {what} cannot be done; "
                "use one without as_of, or unset MODELOG_AS_OF"
            )

    def _send(self, verb: str, path: str, **arguments: Any) -> httpx.Response:
        pause_s = FIRST_PAUSE_S
        for attempt in range(RETRIES + 1):
            trouble: Optional[ModelogError] = None
            try:
                response = self._client.request(verb, path, **arguments)
            except httpx.TransportError as error:
                trouble = Unavailable(f"{self.url} does not answer: {error}. Is the platform up? (`modelog status`)")
            else:
                if response.status_code < 400:
                    return response
                trouble = _problem(response)
            if not isinstance(trouble, Unavailable) or attempt == RETRIES:
                raise trouble
            time.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("unreachable")


class _Pieces:
    """The content of a file, from its beginning each time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        with self._file.open("rb") as content:
            while piece := content.read(PIECE_BYTES):
                yield piece


def convert(plain: Any, answer: Type[T]) -> T:
    """JSON into a record; proto3 JSON writes int64 as text, which is read as a number here."""
    if answer in _MET:
        return msgspec.convert(plain, answer, strict=False)
    # msgspec 0.22 looks at a type when it first meets it, and a second thread that meets it meanwhile crashes.
    with _MEETING:
        found = msgspec.convert(plain, answer, strict=False)
        _MET.add(answer)
        return found


def _problem(response: httpx.Response) -> ModelogError:
    try:
        return error_from(response.json(), response.status_code)
    except ValueError:
        return Unavailable(f"{response.url} answered {response.status_code} and no JSON; is it a Modelog gateway?")
