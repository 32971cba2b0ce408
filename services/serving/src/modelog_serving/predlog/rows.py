"""Ids, keys and times of the rows of requests, told once for each request: rows are many, and differ little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, chain
from typing import Generic, TypeVar, overload

T = TypeVar("T")
MOST_ROWS = 1024
# What the ids of a request's rows end with, and the last of so many in the order of texts.
ENDINGS = [f".{row}" for row in range(MOST_ROWS)]
LAST_ENDINGS = list(accumulate(ENDINGS, max))


@dataclass(frozen=True)
class Repeated(Sequence[T], Generic[T]):
    """What is alike in all rows of a request: a value for each request, and how many rows each has."""

    values: Sequence[T]
    rows: Sequence[int]

    @cached_property
    def _each(self) -> list[T]:
        return self._told()

    def _told(self) -> list[T]:
        return list(chain.from_iterable([value] * rows for value, rows in zip(self.values, self.rows, strict=True)))

    @cached_property
    def _count(self) -> int:
        return sum(self.rows)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return iter(self._each)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._each[index]


class RowIds(Repeated[str]):
    """The ids of rows by those of their requests: a request of one row has its id, others an ending for each row."""

    def _told(self) -> list[str]:
        return [each for told, rows in zip(self.values, self.rows, strict=True) for each in ids_of(told, rows)]


def ids_of(request_id: str, rows: int) -> list[str]:
    """The ids of a request's rows."""
    return [request_id] if rows == 1 else [request_id + ending for ending in ENDINGS[:rows]]


def ids_text(request_id: str, rows: int) -> str:
    """The same, separated by commas."""
    return request_id if rows == 1 else request_id.join(_with_commas(rows))


@lru_cache(maxsize=MOST_ROWS)
def _with_commas(rows: int) -> list[str]:
    return ["", *(f"{ending}," for ending in ENDINGS[: rows - 1]), ENDINGS[rows - 1]]


def bounds(ids: Sequence[str]) -> tuple[str, str]:
    """The first and the last of them in the order of texts; empty when there are none."""
    if not isinstance(ids, RowIds):
        return min(ids, default=""), max(ids, default="")
    told = list(zip(ids.values, ids.rows, strict=True))
    return (
        min((each if rows == 1 else each + ENDINGS[0] for each, rows in told), default=""),
        max((each if rows == 1 else each + LAST_ENDINGS[rows - 1] for each, rows in told), default=""),
    )


def joined(parts: Sequence[Sequence[T]]) -> Sequence[T]:
    """All of them, one behind the other; by requests where all of them are."""
    alike: list[Repeated[T]] = [part for part in parts if isinstance(part, Repeated)]
    if len(alike) < len(parts) or len(set(map(type, alike))) > 1:
        return list(chain.from_iterable(parts))
    values = list(chain.from_iterable([part.values for part in alike]))
    return type(alike[0])(values, list(chain.from_iterable([part.rows for part in alike])))


def keys_of(keys: Sequence[str], ids: Sequence[str]) -> Sequence[str]:
    """The keys of rows; where there are none, their ids are."""
    if keys or not isinstance(ids, RowIds):
        return keys or ids
    return Repeated(ids.values, ids.rows) if len(ids) == len(ids.values) else ids
