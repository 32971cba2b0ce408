"""Time series in InfluxDB 2, in a bucket of their own.

A series is a measurement. A line and its tags are tags, their texts percent-encoded, since line protocol cannot hold
every text. InfluxDB refuses NaN and infinities: each point has the two fields `value` and `kind`, which says whether
the value is a number, so that a point written again replaces both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from modelog_common.stores.influx import Bucket, decoded, encoded
from modelog_common.stores.series import Aggregate, Point
from modelog_common.stores.series.checks import (
    END,
    FIRST,
    MOST_LINES,
    Line,
    Lines,
    check_points,
    check_tags,
    line_of,
    microseconds,
    moment_of,
    order_of,
    window_us,
)

LINES_AT_ONCE = 5000
# Kinds of values: a number, or what InfluxDB would refuse.
NUMBER, NAN, INFINITE, MINUS_INFINITE = range(4)
_ODD = {NAN: math.nan, INFINITE: math.inf, MINUS_INFINITE: -math.inf}
_POINTS = """from(bucket: p_bucket) |> range(start: p_start, stop: p_end)
  |> filter(fn: (r) => r._measurement == p_series)"""
_TOGETHER = """
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")"""
_WINDOWS = """
  |> filter(fn: (r) => r.kind == 0)
  |> aggregateWindow(every: p_every, fn: {function}, column: "value", timeSrc: "_start", createEmpty: false)"""
_ONE_EACH = """
  |> filter(fn: (r) => r._field == "kind") |> first()"""


class InfluxSeriesStore:
    """A SeriesStore behind influxdb://host:port/organisation/bucket (influxdbs: over TLS); makes its bucket."""

    def __init__(self, address: str, token: str, *, most_lines: int = MOST_LINES) -> None:
        self._bucket = Bucket("series store", address, token)
        self._lines = Lines(self._lines_of, most_lines)

    async def write(self, points: Sequence[Point]) -> None:
        check_points(points)
        await self._lines.admit(points)
        last = {(p.series, line_of(p), p.time): p for p in points}
        records = [_record(point) for point in last.values()]
        for start in range(0, len(records), LINES_AT_ONCE):
            await self._bucket.write("\n".join(records[start : start + LINES_AT_ONCE]))

    async def query(
        self,
        series: str,
        tags: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Point]:
        return await self._points(series, tags or {}, start, end, "")

    async def downsample(
        self,
        series: str,
        every: timedelta,
        aggregate: Aggregate,
        tags: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Point]:
        length_us = window_us(every)
        found = await self._points(series, tags or {}, start, end, _WINDOWS.format(function=aggregate), every=every)
        # InfluxDB begins the first window where the asked range begins.
        times = (microseconds(p.time) // length_us * length_us for p in found)
        return [Point(p.series, p.line, moment_of(t), p.value, p.tags) for p, t in zip(found, times, strict=True)]

    async def drop(self) -> None:
        await self._bucket.delete(FIRST, END)
        self._lines.forget()

    async def close(self) -> None:
        await self._bucket.close()

    async def _points(
        self,
        series: str,
        tags: Mapping[str, str],
        start: datetime | None,
        end: datetime | None,
        then: str,
        every: timedelta | None = None,
    ) -> list[Point]:
        check_tags(tags)
        for bound in (start, end):
            if bound is not None:
                microseconds(bound)
        if start is not None and end is not None and start >= end:
            return []
        wanted = "".join(
            f'\n  |> filter(fn: (r) => r["{_tag(name)}"] == p_tag_{n})' for n, name in enumerate(sorted(tags))
        )
        values = {f"p_tag_{n}": encoded(tags[name]) for n, name in enumerate(sorted(tags))}
        asked = {"p_start": start or FIRST, "p_end": end or END, "p_series": encoded(series), **values}
        if every is not None:
            asked["p_every"] = every
        rows = await self._bucket.rows(_POINTS + wanted + _TOGETHER + then, asked)
        return sorted((_point(series, row) for row in rows), key=order_of)

    async def _lines_of(self, series: str) -> set[Line]:
        asked = {"p_start": FIRST, "p_end": END, "p_series": encoded(series)}
        return {_line(row) for row in await self._bucket.rows(_POINTS + _ONE_EACH, asked)}


def _record(point: Point) -> str:
    """A point in line protocol."""
    tags = "".join(f",{_tag(name)}={encoded(value)}" for name, value in sorted(point.tags.items()))
    kind = _kind(point.value)
    value = repr(float(point.value)) if kind == NUMBER else "0.0"
    key = f"{encoded(point.series)},line={encoded(point.line)}{tags}"
    return f"{key} value={value},kind={kind}i {microseconds(point.time)}"


def _kind(value: float) -> int:
    if math.isnan(value):
        return NAN
    if math.isinf(value):
        return INFINITE if value > 0 else MINUS_INFINITE
    return NUMBER


def _tag(name: str) -> str:
    """Beside "line", and never one of the names that InfluxDB keeps for itself."""
    return f"tag.{encoded(name)}"


def _line(row: Mapping[str, Any]) -> Line:
    return decoded(row["line"]), tuple(sorted(_tags_of(row)))


def _tags_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name.startswith("tag.") and value is not None:
            yield decoded(name.removeprefix("tag.")), decoded(value)


def _point(series: str, row: Mapping[str, Any]) -> Point:
    value = _ODD.get(row.get("kind", NUMBER), row["value"])
    return Point(series, decoded(row["line"]), row["_time"], float(value), dict(_tags_of(row)))
