"""What a series store accepts, the same for every adapter: times, texts, and how many lines a series may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from modelog_common.domain.errors import Invalid
from modelog_common.stores.series import Point

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# What fits into the nanoseconds of 64 bits that InfluxDB counts in.
FIRST = datetime(1678, 1, 1, tzinfo=UTC)
END = datetime(2262, 1, 1, tzinfo=UTC)
MOST_TAGS = 8
LONGEST_TEXT = 200
# Each line with its tags costs a time series store memory for ever, however few points it has.
MOST_LINES = 100_000
Line = tuple[str, tuple[tuple[str, str], ...]]


def line_of(point: Point) -> Line:
    """What tells the lines of a series apart."""
    return point.line, tuple(sorted(point.tags.items()))


def order_of(point: Point) -> tuple[datetime, str, tuple[tuple[str, str], ...]]:
    """By time, then line, then tags."""
    return point.time, *line_of(point)


def microseconds(moment: datetime) -> int:
    """Since 1970; raises Invalid for a time without a zone or out of range."""
    if moment.tzinfo is None:
        raise Invalid.field("time", f"{moment.isoformat()} has no zone; a time needs one")
    if not FIRST <= moment < END:
        raise Invalid.field("time", f"{moment.isoformat()} is out of range; years from 1678 to 2261 are allowed")
    return (moment - EPOCH) // MICROSECOND


def moment_of(time_us: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=time_us)


def window_us(every: timedelta) -> int:
    """The length of a window; raises Invalid when it is not positive."""
    length_us = every // MICROSECOND
    if length_us <= 0:
        raise Invalid.field("every", f"a window of {every} is too short; it must be at least a microsecond long")
    return length_us


def check_points(points: Iterable[Point]) -> None:
    """Raises Invalid for the first point that cannot be stored."""
    for point in points:
        microseconds(point.time)
        check_text("series", point.series)
        check_text("line", point.line)
        check_tags(point.tags)


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises Invalid for too many tags, and for names or values that cannot be stored."""
    if len(tags) > MOST_TAGS:
        raise Invalid.field("tags", f"there are {len(tags)} tags; at most {MOST_TAGS} are allowed")
    for name, value in tags.items():
        check_text("tags", name)
        check_text("tags", value)


def check_text(field: str, text: str) -> None:
    """Raises Invalid for what is too long, or what no database takes for text."""
    if len(text) > LONGEST_TEXT:
        raise Invalid.field(field, f"{text[:20]!r}... has {len(text)} characters; at most {LONGEST_TEXT} are allowed")
    if "\0" in text or not _is_unicode(text):
        raise Invalid.field(field, f"{text[:20]!r} holds a zero byte or half a character; any other text is allowed")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Lines:
    """The lines that each series has, so that a new one beyond `most` is refused before it is stored.

    `load` asks the store for the lines of a series, once; from then on this process, the only one that writes a store,
    knows them itself.
    """

    def __init__(self, load: Callable[[str], Awaitable[set[Line]]], most: int = MOST_LINES) -> None:
        self._load, self._most = load, most
        self._known: dict[str, set[Line]] = {}

    async def admit(self, points: Sequence[Point]) -> None:
        """Know the lines of these points from now on; raises Invalid when a series would have too many."""
        new: dict[str, set[Line]] = {}
        for point in points:
            new.setdefault(point.series, set()).add(line_of(point))
        for series, lines in new.items():
            if series not in self._known:
                self._known[series] = await self._load(series)
            if len(self._known[series] | lines) > self._most:
                raise self._too_many(series, self._known[series] | lines)
        for series, lines in new.items():
            self._known[series] |= lines

    def forget(self) -> None:
        """The store is empty."""
        self._known.clear()

    def _too_many(self, series: str, lines: set[Line]) -> Invalid:
        values = Counter(name for name, _ in {tag for _, tags in lines for tag in tags})
        values["line"] = len({line for line, _ in lines})
        name, count = values.most_common(1)[0]
        return Invalid.field(
            "tags",
            f"the series {series!r} would have {len(lines)} lines with different tags; at most {self._most} are "
            f"allowed. {name!r} has {count} different values: what differs from point to point is no tag",
        )
