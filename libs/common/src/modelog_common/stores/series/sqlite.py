"""Time series in one SQLite file: the embedded default."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from modelog_common.domain.errors import Unavailable
from modelog_common.stores.series import Point

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
  series TEXT NOT NULL, line TEXT NOT NULL, tags TEXT NOT NULL, time_us INTEGER NOT NULL, value REAL,
  PRIMARY KEY (series, time_us, line, tags)
) WITHOUT ROWID
"""


class SqliteSeriesStore:
    """A SeriesStore in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "series")
        self._db: sqlite3.Connection | None = None

    async def write(self, points: Sequence[Point]) -> None:
        rows = [(p.series, p.line, _tags(p.tags), _us(p.time), float(p.value)) for p in points]

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
        where = ["series = ?"]
        arguments: list[str | int] = [series, *(text for tag in (tags or {}).items() for text in tag)]
        where += ["EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)"] * len(tags or {})
        for bound, limit in ((start, "time_us >= ?"), (end, "time_us < ?")):
            if bound is not None:
                where.append(limit)
                arguments.append(_us(bound))
        condition = " AND ".join(where)
        statement = f"SELECT series, line, tags, time_us, value FROM points WHERE {condition}"
        rows = await self._run(lambda db: db.execute(statement, arguments).fetchall())
        return sorted((_point(*row) for row in rows), key=_order)

    async def drop(self) -> None:
        await self._run(lambda db: db.execute("DELETE FROM points"))

    async def close(self) -> None:
        await asyncio.to_thread(self._shut_down)

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
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            try:
                db.execute("PRAGMA journal_mode=WAL")
                # Points are a projection: what a power failure takes is written again from the log.
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute(_SCHEMA)
            except sqlite3.Error:
                db.close()
                raise
            self._db = db
        return self._db


def _tags(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _order(point: Point) -> tuple[datetime, str, list[tuple[str, str]]]:
    return point.time, point.line, sorted(point.tags.items())


def _us(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment.isoformat()} has no zone")
    return (moment - _EPOCH) // _MICROSECOND


def _point(series: str, line: str, tags: str, time_us: int, value: float | None) -> Point:
    # SQLite stores a NaN as NULL.
    number = float("nan") if value is None else value
    return Point(series, line, _EPOCH + timedelta(microseconds=time_us), number, json.loads(tags))
