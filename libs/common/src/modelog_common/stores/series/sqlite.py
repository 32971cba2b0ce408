"""Time series in one SQLite file: the embedded default."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from modelog_common.domain.errors import Unavailable
from modelog_common.small_sqlite import open_file
from modelog_common.stores.series import Aggregate, Point
from modelog_common.stores.series.checks import (
    MOST_LINES,
    Line,
    Lines,
    check_points,
    check_tags,
    microseconds,
    moment_of,
    order_of,
    window_us,
)

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
  series TEXT NOT NULL, line TEXT NOT NULL, tags TEXT NOT NULL, time_us INTEGER NOT NULL, value REAL,
  PRIMARY KEY (series, time_us, line, tags)
) WITHOUT ROWID
"""
_FUNCTIONS = {Aggregate.MEAN: "AVG", Aggregate.MIN: "MIN", Aggregate.MAX: "MAX", Aggregate.COUNT: "COUNT"}
# The rest of a division by a positive number, also for moments before 1970.
_WINDOW = "time_us - ((time_us % ?) + ?) % ?"


class SqliteSeriesStore:
    """A SeriesStore in the file `path`."""

    def __init__(self, path: Path, *, most_lines: int = MOST_LINES) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "series")
        self._db: sqlite3.Connection | None = None
        self._lines = Lines(self._lines_of, most_lines)

    async def write(self, points: Sequence[Point]) -> None:
        check_points(points)
        await self._lines.admit(points)
        rows = [(p.series, p.line, _tags(p.tags), microseconds(p.time), float(p.value)) for p in points]

        def insert(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)", rows)

        await self._run(insert)

    async def query(
        self,
        series: str,
        tags: Mapping[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Point]:
        condition, arguments = _condition(series, tags or {}, start, end)
        statement = f"SELECT series, line, tags, time_us, value FROM points WHERE {condition}"
        rows = await self._run(lambda db: db.execute(statement, arguments).fetchall())
        return sorted((_point(*row) for row in rows), key=order_of)

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
        condition, arguments = _condition(series, tags or {}, start, end)
        statement = (
            f"SELECT series, line, tags, {_WINDOW} AS window, {_FUNCTIONS[aggregate]}(value) FROM points "
            f"WHERE {condition} AND abs(value) <= {sys.float_info.max!r} GROUP BY line, tags, window"
        )
        given = [length_us, length_us, length_us, *arguments]
        rows = await self._run(lambda db: db.execute(statement, given).fetchall())
        return sorted((_point(*row) for row in rows), key=order_of)

    async def drop(self) -> None:
        await self._run(lambda db: db.execute("DELETE FROM points"))
        self._lines.forget()

    async def close(self) -> None:
        await asyncio.to_thread(self._shut_down)

    async def _lines_of(self, series: str) -> set[Line]:
        statement = "SELECT DISTINCT line, tags FROM points WHERE series = ?"
        rows = await self._run(lambda db: db.execute(statement, (series,)).fetchall())
        return {(line, tuple(sorted(json.loads(tags).items()))) for line, tags in rows}

    def _shut_down(self) -> None:
        self._thread.shutdown(wait=True)
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._connection()))
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the series store {self._path} cannot be used: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_file(self._path, _prepare)
        return self._db


def _prepare(db: sqlite3.Connection) -> None:
    # Points are a projection: what a power failure takes is written again from the log.
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(_SCHEMA)


def _condition(
    series: str, tags: Mapping[str, str], start: datetime | None, end: datetime | None
) -> tuple[str, list[str | int]]:
    check_tags(tags)
    where = ["series = ?"]
    arguments: list[str | int] = [series, *(text for tag in tags.items() for text in tag)]
    where += ["EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)"] * len(tags)
    for bound, limit in ((start, "time_us >= ?"), (end, "time_us < ?")):
        if bound is not None:
            where.append(limit)
            arguments.append(microseconds(bound))
    return " AND ".join(where), arguments


def _tags(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _point(series: str, line: str, tags: str, time_us: int, value: float | None) -> Point:
    # SQLite stores a NaN as NULL.
    number = float("nan") if value is None else float(value)
    return Point(series, line, moment_of(time_us), number, json.loads(tags))
