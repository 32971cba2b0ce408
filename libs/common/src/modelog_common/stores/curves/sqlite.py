"""Curves in one SQLite file: the embedded default. Batches that arrive during a commit share the next one."""

from __future__ import annotations

import asyncio
import sqlite3
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from modelog_common.domain.errors import Unavailable
from modelog_common.events.worker import Worker
from modelog_common.small_sqlite import open_file
from modelog_common.stores.curves import Batch, Curve, in_order, packed, unpacked

T = TypeVar("T")
MAX_BATCHES = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
  run TEXT NOT NULL, number INTEGER NOT NULL, tenant TEXT NOT NULL, author TEXT NOT NULL, request TEXT NOT NULL,
  sealed INTEGER NOT NULL, PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS batches_by_request ON batches (run, request);
CREATE INDEX IF NOT EXISTS batches_unsealed ON batches (run, number) WHERE sealed = 0;
CREATE TABLE IF NOT EXISTS curves (
  run TEXT NOT NULL, metric TEXT NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL,
  steps BLOB NOT NULL, times_ms BLOB NOT NULL, "values" BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS curves_by_metric ON curves (run, metric, number);
CREATE INDEX IF NOT EXISTS curves_by_number ON curves (run, number, place);
"""
_BATCHES = "SELECT run, number, tenant, author FROM batches WHERE"
_CURVES = 'SELECT metric, steps, times_ms, "values" FROM curves WHERE'


@dataclass(slots=True)
class _Waiting:
    run: str
    tenant: str
    author: str
    request: str
    curves: tuple[Curve, ...]
    answer: asyncio.Future[Batch | None]


class SqliteCurveStore:
    """A CurveStore in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker = Worker("curves")
        self._db: sqlite3.Connection | None = None
        self._waiting: list[_Waiting] = []
        # What is sealed and not written down yet: it rides with the next append, and that it is lost costs work only.
        self._sealed: dict[str, int] = {}
        self._committing: asyncio.Task[None] | None = None

    async def append(self, run: str, tenant: str, author: str, request: str, curves: Sequence[Curve]) -> Batch | None:
        answer: asyncio.Future[Batch | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(run, tenant, author, request, tuple(curves), answer))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await answer

    async def _commit_all(self) -> None:
        """Commit until nobody waits."""
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_BATCHES], self._waiting[MAX_BATCHES:]
            sealed = self._take_sealed()
            try:
                batches = await self._run(partial(_insert, group=group, sealed=sealed))
            except Exception as error:
                for item in group:
                    if not item.answer.done():
                        item.answer.set_exception(error)
                continue
            for item, batch in zip(group, batches, strict=True):
                if not item.answer.done():
                    item.answer.set_result(batch)
        self._committing = None

    async def unsealed(self) -> list[Batch]:
        await self._write_sealed()
        return await self._run(lambda db: _read(db, f"{_BATCHES} sealed = 0 ORDER BY run, number", ()))

    async def seal(self, run: str, last: int) -> None:
        self._sealed[run] = max(last, self._sealed.get(run, 0))

    async def unseal(self, run: str, after: int) -> None:
        await self._write_sealed()
        statement = "UPDATE batches SET sealed = 0 WHERE run = ? AND number > ?"
        await self._run(lambda db: db.execute(statement, (run, after)))

    async def _write_sealed(self) -> None:
        sealed = self._take_sealed()
        if sealed:
            await self._run(partial(_insert, group=(), sealed=sealed))

    def _take_sealed(self) -> dict[str, int]:
        sealed, self._sealed = self._sealed, {}
        return sealed

    async def runs(self) -> list[tuple[str, int]]:
        return await self._run(lambda db: db.execute("SELECT run, MAX(number) FROM batches GROUP BY run").fetchall())

    async def batches(self, run: str, first: int, last: int) -> list[Batch]:
        query = f"{_BATCHES} run = ? AND number BETWEEN ? AND ? ORDER BY number"
        return await self._run(lambda db: _read(db, query, (run, first, last)))

    async def history(self, run: str, metric: str, last: int, offset: int, limit: int) -> Curve:
        return await self._run(lambda db: _history(db, run, metric, last, offset, limit))

    async def drop(self, run: str) -> None:
        def delete(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN IMMEDIATE")
                db.execute("DELETE FROM curves WHERE run = ?", (run,))
                db.execute("DELETE FROM batches WHERE run = ?", (run,))

        await self._run(delete)

    async def close(self) -> None:
        if self._committing is not None:
            await self._committing
        with suppress(Unavailable):
            await self._write_sealed()
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._worker.stop()
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._worker.run(lambda: work(self._connection()))
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the store of curves {self._path} cannot be used: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_file(self._path, _prepare)
        return self._db


def _prepare(db: sqlite3.Connection) -> None:
    # The points are nowhere else: what was acknowledged must outlast a power failure.
    db.execute("PRAGMA synchronous=FULL")
    db.executescript(_SCHEMA)


def _insert(db: sqlite3.Connection, group: Sequence[_Waiting], sealed: Mapping[str, int]) -> list[Batch | None]:
    batches: list[Batch | None] = []
    with db:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "UPDATE batches SET sealed = 1 WHERE run = ? AND number <= ? AND sealed = 0", list(sealed.items())
        )
        for item in group:
            known = db.execute("SELECT 1 FROM batches WHERE run = ? AND request = ?", (item.run, item.request))
            if known.fetchone() is not None:
                batches.append(None)
                continue
            (last,) = db.execute("SELECT MAX(number) FROM batches WHERE run = ?", (item.run,)).fetchone()
            batch = Batch(item.run, (last or 0) + 1, item.tenant, item.author, item.curves)
            db.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, 0)",
                (item.run, batch.number, item.tenant, item.author, item.request),
            )
            db.executemany(
                "INSERT INTO curves VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (item.run, c.name, batch.number, n, packed(c.steps), packed(c.times_ms), packed(c.values))
                    for n, c in enumerate(item.curves)
                ],
            )
            batches.append(batch)
    return batches


def _read(db: sqlite3.Connection, query: str, parameters: tuple[Any, ...]) -> list[Batch]:
    found = []
    for run, number, tenant, author in db.execute(query, parameters).fetchall():
        rows = db.execute(f"{_CURVES} run = ? AND number = ? ORDER BY place", (run, number))
        found.append(Batch(run, number, tenant, author, tuple(_curve(*row) for row in rows)))
    return found


def _history(db: sqlite3.Connection, run: str, metric: str, last: int, offset: int, limit: int) -> Curve:
    query = f"{_CURVES} run = ? AND metric = ? AND number <= ? ORDER BY number, place"
    rows = db.execute(query, (run, metric, last)).fetchall()
    whole = _curve(metric, *(b"".join(row[n] for row in rows) for n in (1, 2, 3)))
    sorted_ = in_order(whole)
    end = offset + limit
    return Curve(metric, sorted_.steps[offset:end], sorted_.times_ms[offset:end], sorted_.values[offset:end])


def _curve(metric: str, steps: bytes, times_ms: bytes, values: bytes) -> Curve:
    numbers = cast("array[float]", unpacked("d", values))
    return Curve(metric, unpacked("q", steps), unpacked("q", times_ms), numbers)
