"""The port to time series: lines of points by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True)
class Point:
    """One value of a line at a moment; a series has one or more lines ("auc", "log_loss"), told apart by tags too.

    `time` has a zone and a year from 1678 to 2261; microseconds count, nothing finer. Tags are few and have few values:
    they say whose line it is ("tenant", "monitor"), never which point.
    """

    series: str
    line: str
    time: datetime
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)


class Aggregate(StrEnum):
    """What is made of the numbers of one line in one window; a value that is not finite is no number."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    COUNT = "count"


class SeriesStore(Protocol):
    """Points by time. Writing (series, line, tags, time) again replaces the value, so a replay changes nothing.

    Every method raises Unavailable when the store does not answer, and Invalid for what `checks` refuses.
    """

    async def write(self, points: Sequence[Point]) -> None:
        """Store the points; of two at the same place the last one counts.

        Nothing is stored of what raises Invalid: a series has a limited number of lines and tags. After Unavailable
        some points may have been stored: write all of them again.
        """
        ...

    async def query(
        self,
        series: str,
        tags: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Point]:
        """The points that carry all of `tags`, from `start` and before `end`, by time, then line, then tags."""
        ...

    async def downsample(
        self,
        series: str,
        every: timedelta,
        aggregate: Aggregate,
        tags: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Point]:
        """One point for each line and window in which it has a number, ordered as by `query`.

        Windows are `every` long, counted from 1970 in UTC; a point stands at its window's start, also where that is
        before `start`.
        """
        ...

    async def drop(self) -> None:
        """Forget every point."""
        ...

    async def close(self) -> None:
        """Close the store's files or connections."""
        ...
