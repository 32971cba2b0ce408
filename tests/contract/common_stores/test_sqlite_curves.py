"""The SQLite file passes the suite of curves and keeps its points."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from curve_suite import CurveStoreSuite, curve
from modelog_common.domain.errors import Unavailable
from modelog_common.stores.curves import CurveStore, digest_of
from modelog_common.stores.curves.sqlite import SqliteCurveStore


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
        await curves.append("r", "acme", "alice", "1", [curve("m", (0, 0, 1))])
    (tmp_path / "curves.db").unlink()
    assert await curves.append("r", "acme", "alice", "1", [curve("m", (0, 0, 1))]) is not None
    await curves.close()


def test_the_digest_is_that_of_the_canonical_bytes() -> None:
    """Written out, so that anybody can make it again."""
    import hashlib
    import struct

    from modelog_common.stores.curves import Batch, Curve

    batch = Batch("r", 1, "acme", "alice", (Curve("é", array("q", [1, -2]), array("q", [3, 4]), array("d", [0.5, 1])),))
    data = struct.pack("<Q", 2) + "é".encode() + struct.pack("<Q", 2)
    data += struct.pack("<qq", 1, -2) + struct.pack("<qq", 3, 4) + struct.pack("<dd", 0.5, 1)
    assert digest_of([batch]) == hashlib.sha256(data).hexdigest()
