"""Which handler answers an address: patterns such as /v2/models/{name}/infer, and what to say of an unknown one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from modelog_common.edge.http1_answer import Answer, Request

# Of how many addresses it is kept where they lead.
KEPT = 1024


class Asked(NamedTuple):
    """A request, with what its address names."""

    request: Request
    names: Mapping[str, str]

    @property
    def named(self) -> tuple[str, str]:
        """The deployment and the version; the version is empty when the address has none."""
        return self.names["name"], self.names.get("version", "")


Handler = Callable[[Asked], Awaitable[Answer]]


@dataclass
class Route:
    """`is_open` says that anybody may ask, without a token."""

    pattern: str
    is_open: bool = False
    handlers: dict[str, Handler] = field(default_factory=dict)


class RestRoutes:
    """Found by the segments of the address, each decoded by itself: a name may hold an encoded slash."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self.find = lru_cache(KEPT)(self._find)

    def add(self, verb: str, pattern: str, handler: Handler, *, is_open: bool = False) -> None:
        """A segment that begins with a name in braces stands for any text there that is not empty.

        Patterns that were added first win.
        """
        self._routes.setdefault(pattern, Route(pattern, is_open)).handlers[verb] = handler

    def _find(self, path: str) -> tuple[Route, Mapping[str, str]] | None:
        segments = [unquote(segment) for segment in path.split("/")]
        for route in self._routes.values():
            wanted = route.pattern.split("/")
            if len(wanted) == len(segments) and all(_fits(*both) for both in zip(wanted, segments, strict=True)):
                return route, dict(_named(*both) for both in zip(wanted, segments, strict=True) if both[0][:1] == "{")
        return None


def _fits(wanted: str, segment: str) -> bool:
    if not wanted.startswith("{"):
        return wanted == segment
    rest = wanted.partition("}")[2]
    return segment.endswith(rest) and len(segment) > len(rest)


def _named(wanted: str, segment: str) -> tuple[str, str]:
    name, _, rest = wanted[1:].partition("}")
    return name, segment.removesuffix(rest)
