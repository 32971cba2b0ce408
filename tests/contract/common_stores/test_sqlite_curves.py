"""The SQLite file passes the suite of curves and keeps its points."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from curve_suite import CurveStoreSuite, append, curve
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.curves import Batch, Curve, CurveStore, block_of, digest_of
from modelog_common.stores.curves.sqlite import SqliteCurveStore

FIRST_FORM = """
CREATE TABLE batches (
  run TEXT NOT NULL, number INTEGER NOT NULL, tenant TEXT NOT NULL, author TEXT NOT NULL, request TEXT NOT NULL,
  sealed INTEGER NOT NULL, PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX batches_by_request ON batches (run, request);
CREATE TABLE curves (
  run TEXT NOT NULL, metric TEXT NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL,
  steps BLOB NOT NULL, times_ms BLOB NOT NULL, "values" BLOB NOT NULL
);
"""


class TestSqliteCurveStore(CurveStoreSuite):
    @pytest.fixture
    async def opened(self, tmp_path: Path) -> AsyncIterator[list[SqliteCurveStore]]:
        opened = [SqliteCurveStore(tmp_path / "curves.db")]
        yield opened
        await opened[-1].close()

    @pytest.fixture
    async def curves(self, opened: list[SqliteCurveStore]) -> CurveStore:
        return opened[-1]

    @pytest.fixture
    def reopened(self, opened: list[SqliteCurveStore], tmp_path: Path) -> Callable[[], Awaitable[CurveStore]]:
        async def again() -> CurveStore:
            await opened[-1].close()
            opened.append(SqliteCurveStore(tmp_path / "curves.db"))
            return opened[-1]

        return again


async def test_a_file_that_is_no_store_of_curves_is_named(tmp_path: Path) -> None:
    (tmp_path / "curves.db").write_bytes(b"not a database" * 100)
    curves = SqliteCurveStore(tmp_path / "curves.db")
    with pytest.raises(Unavailable, match=r"store of curves .*curves\.db cannot be used: file is not a database"):
        await append(curves, "r", "alice", "1", [curve("m", (0, 0, 1))])
    (tmp_path / "curves.db").unlink()
    assert await append(curves, "r", "alice", "1", [curve("m", (0, 0, 1))]) is not None
    await curves.close()


def test_the_digest_is_that_of_the_canonical_bytes() -> None:
    """Written out, so that anybody can make it again."""
    curves = [Curve("é", array("q", [1, -2]), array("q", [3, 4]), array("d", [0.5, 1])), curve("m", (7, 8, 9.0))]
    batch = Batch("r", 1, "acme", "alice", block_of(curves))
    data = struct.pack("<Q", 2) + "é".encode() + struct.pack("<Q", 2)
    data += struct.pack("<qq", 1, -2) + struct.pack("<qq", 3, 4) + struct.pack("<dd", 0.5, 1)
    data += struct.pack("<Q", 1) + b"m" + struct.pack("<Qqqd", 1, 7, 8, 9.0)
    assert digest_of([batch]) == hashlib.sha256(data).hexdigest()


async def test_a_file_of_the_first_form_keeps_what_it_holds(tmp_path: Path) -> None:
    """It had a row for each metric of each batch."""
    db = sqlite3.connect(tmp_path / "curves.db")
    db.executescript(FIRST_FORM)
    column = struct.pack("<qq", 1, 2)
    for number, sealed in ((1, 1), (2, 0)):
        db.execute("INSERT INTO batches VALUES ('r', ?, 'acme', 'alice', ?, ?)", (number, f"q{number}", sealed))
        for place, name in enumerate(("z", "a")):
            values = struct.pack("<dd", number, place)
            db.execute(
                "INSERT INTO curves VALUES ('r', ?, ?, ?, ?, ?, ?)", (name, number, place, column, column, values)
            )
    db.commit()
    db.close()
    for _ in range(2):
        curves = SqliteCurveStore(tmp_path / "curves.db")
        assert list((await curves.history("r", "a", 9, 0, 9)).values) == [1.0, 2.0, 1.0, 1.0]
        (batch,) = await curves.unsealed()
        assert (batch.number, batch.tenant, batch.author) == (2, "acme", "alice")
        assert [(c.name, list(c.steps), list(c.values)) for c in batch.block.curves] == [
            ("z", [1, 2], [2.0, 0.0]),
            ("a", [1, 2], [2.0, 1.0]),
        ]
        assert await append(curves, "r", "alice", "q1", [curve("m", (0, 0, 1))]) is None
        await curves.close()
