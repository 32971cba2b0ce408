"""Windows of event time: hours, days, ISO weeks and months, all in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never


class WindowUnit(StrEnum):
    """How long a window is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Window:
    """From `start` on, up to but without `end`; both are in UTC."""

    unit: WindowUnit
    start: datetime
    end: datetime

    @property
    def label(self) -> str:
        """What people call it: "2013-04", "2013-04-30", "2013-W18" or "2013-04-30T23"."""
        if self.unit is WindowUnit.WEEK:
            year, week, _ = self.start.isocalendar()
            return f"{year:04}-W{week:02}"
        return self.start.isoformat()[: _LABEL_LENGTH[self.unit]]

    def next(self) -> Window:
        """The window that begins where this one ends."""
        return window_at(self.unit, self.end)


_LABEL_LENGTH = {WindowUnit.MONTH: 7, WindowUnit.DAY: 10, WindowUnit.HOUR: 13}


def window_at(unit: WindowUnit, moment: datetime) -> Window:
    """The window that holds this moment."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case WindowUnit.HOUR:
            start = day + timedelta(hours=moment.astimezone(UTC).hour)
            return Window(unit, start, start + timedelta(hours=1))
        case WindowUnit.DAY:
            return Window(unit, day, day + timedelta(days=1))
        case WindowUnit.WEEK:
            start = day - timedelta(days=day.weekday())
            return Window(unit, start, start + timedelta(days=7))
        case WindowUnit.MONTH:
            start = day.replace(day=1)
            return Window(unit, start, (start + timedelta(days=31)).replace(day=1))
        case _:
            assert_never(unit)


def window_of_label(unit: WindowUnit, label: str) -> Window | None:
    """The window that people call so, None when it is no such label."""
    try:
        if unit is WindowUnit.WEEK:
            year, _, week = label.partition("-W")
            start = datetime.fromisocalendar(int(year), int(week), 1)
        else:
            start = datetime.fromisoformat(label + "-01" if unit is WindowUnit.MONTH else label)
        found = window_at(unit, start.replace(tzinfo=UTC))
    except ValueError:
        return None
    return found if found.label == label else None
