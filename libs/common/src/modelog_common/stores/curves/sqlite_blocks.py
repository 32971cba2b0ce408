"""Blocks of points in a SQLite file: a row for each batch, however many metrics it has.

The points are three columns, one after the other, cut by SQLite itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from modelog_common.stores.curves import Batch, Block, Curve, block_of, in_order, packed, unpacked
from modelog_common.stores.curves.shapes import Part, Shape, needed, parts_of, pieces, shape_of, shape_text
from modelog_common.stores.curves.thinning import Span

# How many shapes are remembered.
SHAPES = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS shapes (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, shape BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (
  run TEXT NOT NULL, number INTEGER NOT NULL, tenant TEXT NOT NULL, author TEXT NOT NULL, request TEXT NOT NULL,
  sealed INTEGER NOT NULL, shape INTEGER NOT NULL, first_step INTEGER NOT NULL, last_step INTEGER NOT NULL,
  points BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS blocks_by_number ON blocks (run, number);
CREATE UNIQUE INDEX IF NOT EXISTS blocks_by_request ON blocks (run, request);
CREATE INDEX IF NOT EXISTS blocks_by_shape ON blocks (run, shape, number, first_step, last_step);
CREATE INDEX IF NOT EXISTS blocks_unsealed ON blocks (run, number) WHERE sealed = 0;
"""
# The batch gets the next number of its run; none of a request that the run has a batch of.
_INSERT = """
INSERT INTO blocks VALUES (
  :run, (SELECT COALESCE(MAX(number), 0) + 1 FROM blocks WHERE run = :run), :tenant, :author, :request, 0,
  :shape, :first, :last, :points
) ON CONFLICT (run, request) DO NOTHING RETURNING number
"""
_WHOLE = "SELECT run, number, tenant, author, request, shape, points FROM blocks WHERE"
_NEXT_SHAPE = "SELECT MIN(shape) FROM blocks WHERE run = ? AND shape > ?"
_OF_SHAPE = "SELECT number, first_step, last_step FROM blocks WHERE run = ? AND shape = ? AND number <= ?"
_CUT = """
SELECT substr(points, ?, ?), substr(points, ?, ?), substr(points, ?, ?) FROM blocks WHERE run = ? AND number = ?
"""
# Numbers have no gaps: each batch gets its own again.
_FIRST_BATCHES = "SELECT run, tenant, author, request, number, sealed FROM batches ORDER BY run, number"
_FIRST_FORM = 'SELECT metric, steps, times_ms, "values" FROM curves WHERE run = ? AND number = ? ORDER BY place'


class Blocks:
    """The tables, on a connection of one thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._shapes: OrderedDict[int, Shape] = OrderedDict()
        self._ids: OrderedDict[tuple[tuple[str, ...], tuple[int, ...]], int] = OrderedDict()

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def committed(self) -> Iterator[None]:
        """Everything inside, or nothing."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield
        except BaseException:
            # Shapes that were not kept must not be remembered.
            self._ids.clear()
            self._shapes.clear()
            raise

    def add(self, run: str, tenant: str, author: str, request: str, block: Block) -> Batch | None:
        """Keep a batch; None when the run has one of this request. To be called inside `committed`."""
        row = {
            "run": run,
            "tenant": tenant,
            "author": author,
            "request": request,
            "shape": self._id_of(block),
            "first": min(block.steps),
            "last": max(block.steps),
            "points": packed(block.steps) + packed(block.times_ms) + packed(block.values),
        }
        made = self._db.execute(_INSERT, row).fetchone()
        return None if made is None else Batch(run, made[0], tenant, author, block, request)

    def seal(self, sealed: Mapping[str, int]) -> None:
        statement = "UPDATE blocks SET sealed = 1 WHERE run = ? AND number <= ? AND sealed = 0"
        self._db.executemany(statement, list(sealed.items()))

    def unseal(self, run: str, after: int) -> None:
        self._db.execute("UPDATE blocks SET sealed = 0 WHERE run = ? AND number > ?", (run, after))

    def unsealed(self) -> list[Batch]:
        return self._read(f"{_WHOLE} sealed = 0 ORDER BY run, number")

    def between(self, run: str, first: int, last: int) -> list[Batch]:
        return self._read(f"{_WHOLE} run = ? AND number BETWEEN ? AND ? ORDER BY number", run, first, last)

    def runs(self) -> list[tuple[str, int]]:
        return self._db.execute("SELECT run, MAX(number) FROM blocks GROUP BY run").fetchall()

    def drop(self, run: str) -> None:
        self._db.execute("DELETE FROM blocks WHERE run = ?", (run,))

    def history(self, run: str, metric: str, last: int, offset: int, limit: int) -> Curve:
        """Only the batches are read in which points of the page may be."""
        found = Curve(metric, array("q"), array("q"), array("d"))
        for parts, cut in needed(self._parts(run, metric, last), offset, limit):
            ordered = self.read(run, metric, parts)
            found.extend(ordered, cut)
        return found

    def pieces(self, run: str, metric: str, last: int, span: Span | None, points: int) -> list[list[Part]]:
        """Where the points of a metric are that may be in a span, in pieces of about so many."""
        return pieces(self._parts(run, metric, last), span, points)

    def read(self, run: str, metric: str, parts: Sequence[Part]) -> Curve:
        """The points of parts, in order."""
        return in_order(self._points(run, metric, parts))

    def _parts(self, run: str, metric: str, last: int) -> list[Part]:
        """Where points of a metric are."""
        parts: list[Part] = []
        for shape_id in self._shapes_of(run):
            shape = self._shape(shape_id)
            if metric in shape.names:
                parts += parts_of(shape, metric, self._db.execute(_OF_SHAPE, (run, shape_id, last)).fetchall())
        return parts

    def _points(self, run: str, metric: str, parts: Sequence[Part]) -> Curve:
        """The points of parts, as they were appended."""
        cuts = [self._db.execute(_CUT, (*_cuts(part), run, part.number)).fetchone() for part in parts]
        steps, times, values = (b"".join(column) for column in zip(*cuts, strict=True))
        return Curve(metric, unpacked("q", steps), unpacked("q", times), _numbers(values))

    def _shapes_of(self, run: str) -> Iterator[int]:
        """Each is found by the index, without a look at its batches."""
        last = 0
        while (found := self._db.execute(_NEXT_SHAPE, (run, last)).fetchone()[0]) is not None:
            yield found
            last = found

    def _shape(self, shape_id: int) -> Shape:
        shape = self._shapes.get(shape_id)
        if shape is None:
            (text,) = self._db.execute("SELECT shape FROM shapes WHERE id = ?", (shape_id,)).fetchone()
            shape = self._shapes[shape_id] = shape_of(text)
            if len(self._shapes) > SHAPES:
                self._shapes.popitem(last=False)
        return shape

    def _id_of(self, block: Block) -> int:
        key = (block.names, block.counts)
        known = self._ids.get(key)
        if known is None:
            known = self._ids[key] = self._new_id(shape_text(block))
            if len(self._ids) > SHAPES:
                self._ids.popitem(last=False)
        return known

    def _new_id(self, shape: bytes) -> int:
        digest = hashlib.sha256(shape).digest()
        self._db.execute(
            "INSERT INTO shapes (digest, shape) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", (digest, shape)
        )
        found: int = self._db.execute("SELECT id FROM shapes WHERE digest = ?", (digest,)).fetchone()[0]
        return found

    def _read(self, query: str, *parameters: Any) -> list[Batch]:
        found = []
        for run, number, tenant, author, request, shape_id, points in self._db.execute(query, parameters).fetchall():
            shape, size = self._shape(shape_id), len(points) // 3
            steps, times, values = (points[n * size : (n + 1) * size] for n in range(3))
            block = Block(shape.names, shape.counts, unpacked("q", steps), unpacked("q", times), _numbers(values))
            found.append(Batch(run, number, tenant, author, block, request))
        return found


def prepare(db: sqlite3.Connection) -> None:
    # The points are nowhere else: what was acknowledged must outlast a power failure.
    db.execute("PRAGMA synchronous=FULL")
    db.executescript(_SCHEMA)
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'curves'").fetchone() is not None:
        _take_over(db)


def _take_over(db: sqlite3.Connection) -> None:
    """The first form of the file had a row for each metric of each batch."""
    blocks = Blocks(db)
    with blocks.committed():
        for run, tenant, author, request, number, sealed in db.execute(_FIRST_BATCHES).fetchall():
            curves = [
                Curve(name, unpacked("q", steps), unpacked("q", times), _numbers(values))
                for name, steps, times, values in db.execute(_FIRST_FORM, (run, number))
            ]
            blocks.add(run, tenant, author, request, block_of(curves))
            db.execute("UPDATE blocks SET sealed = ? WHERE run = ? AND number = ?", (sealed, run, number))
        db.execute("DROP TABLE curves")
        db.execute("DROP TABLE batches")


def _cuts(part: Part) -> tuple[int, ...]:
    """Where the part's steps, times and values stand among a batch's bytes, from 1, and how many bytes they are."""
    size = 8 * part.points
    return tuple(n for column in range(3) for n in (1 + 8 * (column * part.total + part.begins), size))


def _numbers(values: bytes) -> array[float]:
    return cast("array[float]", unpacked("d", values))
