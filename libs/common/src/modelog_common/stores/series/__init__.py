"""The port to time series: lines of points by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Point:
    """One value of a line at a moment; a series has one or more lines ("auc", "log_loss"), told apart by tags too.

    `time` has a zone; microseconds count, nothing finer.
    """

    series: str
    line: str
    time: datetime
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)


class SeriesStore(Protocol):
    """Points by time. Writing (series, line, tags, time) again replaces the value, so a replay changes nothing."""

    async def write(self, points: Sequence[Point]) -> None:
        """Store all points or none; raises Unavailable when they cannot be stored."""
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

    async def drop(self) -> None:
        """Forget every point."""
        ...

    async def close(self) -> None:
        """Close the store's files or connections."""
        ...
