"""Where time comes from: the machine's clock, or one that a test advances."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move the hands; a negative amount turns them back, as a machine's clock sometimes is."""
        self._now += by


def milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970."""
    return int(at.timestamp() * 1000)
