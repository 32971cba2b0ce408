"""The SQLite file passes the suite of snapshots; damage costs the file, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from modelog_common.events.snapshots import Snapshots
from modelog_common.events.snapshots.sqlite import SqliteSnapshots
from snapshots_suite import FIRST, SnapshotsSuite


class TestSqliteSnapshots(SnapshotsSuite):
    @pytest.fixture
    async def snapshots(self, tmp_path: Path) -> AsyncIterator[Snapshots]:  # type: ignore[override]
        snapshots = SqliteSnapshots(tmp_path / "new" / "snapshots.db")
        yield snapshots
        await snapshots.close()


async def test_snapshots_outlive_the_process(tmp_path: Path) -> None:
    first = SqliteSnapshots(tmp_path / "snapshots.db")
    await first.keep(FIRST)
    await first.close()
    second = SqliteSnapshots(tmp_path / "snapshots.db")
    assert await second.find(FIRST.stream) == FIRST
    await second.close()


async def test_a_damaged_file_is_thrown_away(tmp_path: Path) -> None:
    file = tmp_path / "snapshots.db"
    file.write_bytes(b"this is no database" * 100)
    snapshots = SqliteSnapshots(file)
    assert await snapshots.find(FIRST.stream) is None
    await snapshots.keep(FIRST)
    assert await snapshots.find(FIRST.stream) == FIRST
    await snapshots.close()
