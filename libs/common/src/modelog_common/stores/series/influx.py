"""Time series in InfluxDB 2, in a bucket of their own.

A series is a measurement. A line and its tags are tags, their texts percent-encoded, since line protocol cannot hold
every text. InfluxDB refuses NaN and infinities: each point has the two fields `value` and `kind`, which says whether
the value is a number, so that a point written again replaces both.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import aiohttp
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.post_bucket_request import PostBucketRequest
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.service.buckets_service import BucketsService
from influxdb_client.service.organizations_service import OrganizationsService

from modelog_common.domain.errors import Unavailable
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

T = TypeVar("T")
LINES_AT_ONCE = 5000
TIMEOUT_MS = 10_000
NOT_FOUND, UNPROCESSABLE = 404, 422
# Kinds of values: a number, or what InfluxDB would refuse.
NUMBER, NAN, INFINITE, MINUS_INFINITE = range(4)
_ODD = {NAN: math.nan, INFINITE: math.inf, MINUS_INFINITE: -math.inf}
# No @: a filter by a tag of that value finds nothing.
_SAFE = "-._~:/"
_EMPTY = "%"
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
        parts = urlsplit(address)
        scheme = "https" if parts.scheme == "influxdbs" else "http"
        self._url = f"{scheme}://{parts.netloc}"
        self._org, self._bucket = (unquote(part) for part in parts.path.strip("/").split("/"))
        self._token = token
        self._opened: InfluxDBClientAsync | None = None
        self._lines = Lines(self._lines_of, most_lines)

    async def write(self, points: Sequence[Point]) -> None:
        check_points(points)
        await self._lines.admit(points)
        last = {(p.series, line_of(p), p.time): p for p in points}
        records = [_record(point) for point in last.values()]
        for start in range(0, len(records), LINES_AT_ONCE):
            await self._store("\n".join(records[start : start + LINES_AT_ONCE]))

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
        client = self._client()
        with suppress(_NoBucket):
            await self._answered(client.delete_api().delete(FIRST, END, "", self._bucket, self._org))
        self._lines.forget()

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def _store(self, records: str) -> None:
        async def once() -> None:
            write = self._client().write_api().write
            # Its constants are texts, whatever the client's annotations say.
            await self._answered(write(self._bucket, self._org, records, WritePrecision.US))  # type: ignore[arg-type]

        try:
            await once()
        except _NoBucket:
            await self._make_bucket()
            await once()

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
        values = {f"p_tag_{n}": _encoded(tags[name]) for n, name in enumerate(sorted(tags))}
        asked = {"p_start": start or FIRST, "p_end": end or END, "p_series": _encoded(series), **values}
        if every is not None:
            asked["p_every"] = every
        rows = await self._rows(_POINTS + wanted + _TOGETHER + then, asked)
        return sorted((_point(series, row) for row in rows), key=order_of)

    async def _lines_of(self, series: str) -> set[Line]:
        asked = {"p_start": FIRST, "p_end": END, "p_series": _encoded(series)}
        return {_line(row) for row in await self._rows(_POINTS + _ONE_EACH, asked)}

    async def _rows(self, flux: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        query = self._client().query_api().query
        try:
            tables = await self._answered(query(flux, self._org, {"p_bucket": self._bucket, **parameters}))
        except _NoBucket:
            return []
        return [record.values for table in tables for record in table.records]

    async def _make_bucket(self) -> None:
        client = self._client()
        orgs = await self._answered(OrganizationsService(client.api_client).get_orgs_async(org=self._org))
        wanted = PostBucketRequest(org_id=orgs.orgs[0].id, name=self._bucket, retention_rules=[])
        with suppress(_HasBucket):
            await self._answered(BucketsService(client.api_client).post_buckets_async(wanted))

    def _client(self) -> InfluxDBClientAsync:
        # Made by the first call, since it belongs to the event loop that it is made in.
        if self._opened is None:
            self._opened = InfluxDBClientAsync(self._url, self._token, self._org, timeout=TIMEOUT_MS)
        return self._opened

    async def _answered(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except InfluxDBError as error:
            status, message = getattr(error, "status", None), str(error.message)
            if status == NOT_FOUND and "bucket" in message:
                raise _NoBucket from error
            if status == UNPROCESSABLE and "bucket" in message and "already exists" in message:
                raise _HasBucket from error
            raise Unavailable(f"the series store at {self._url} refuses: {error.message or error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or "it took too long"
            raise Unavailable(f"the series store at {self._url} does not answer: {why}") from error


class _NoBucket(Exception):
    """The bucket is not there yet, or not any more."""


class _HasBucket(Exception):
    """Another writer has just made the bucket."""


def _record(point: Point) -> str:
    """A point in line protocol."""
    tags = "".join(f",{_tag(name)}={_encoded(value)}" for name, value in sorted(point.tags.items()))
    kind = _kind(point.value)
    value = repr(float(point.value)) if kind == NUMBER else "0.0"
    key = f"{_encoded(point.series)},line={_encoded(point.line)}{tags}"
    return f"{key} value={value},kind={kind}i {microseconds(point.time)}"


def _kind(value: float) -> int:
    if math.isnan(value):
        return NAN
    if math.isinf(value):
        return INFINITE if value > 0 else MINUS_INFINITE
    return NUMBER


def _tag(name: str) -> str:
    """Beside "line", and never one of the names that InfluxDB keeps for itself."""
    return f"tag.{_encoded(name)}"


def _encoded(text: str) -> str:
    """Without spaces, commas, quotes, line ends and backslashes; never empty."""
    return quote(text, safe=_SAFE) or _EMPTY


def _decoded(text: str) -> str:
    return "" if text == _EMPTY else unquote(text)


def _line(row: Mapping[str, Any]) -> Line:
    return _decoded(row["line"]), tuple(sorted(_tags_of(row)))


def _tags_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name.startswith("tag.") and value is not None:
            yield _decoded(name.removeprefix("tag.")), _decoded(value)


def _point(series: str, row: Mapping[str, Any]) -> Point:
    value = _ODD.get(row.get("kind", NUMBER), row["value"])
    return Point(series, _decoded(row["line"]), row["_time"], float(value), dict(_tags_of(row)))
