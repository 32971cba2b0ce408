"""A consumer's progress commits with its rows, whichever database holds both."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from modelog_common.bus.progress import MemoryProgress, SqliteProgress
from modelog_common.read.database import open_database
from sql_progress_suite import FIRST, OTHER, SECOND, SqlProgressSuite
from sqlalchemy.ext.asyncio import AsyncEngine


async def test_memory_keeps_it_until_the_process_ends() -> None:
    progress = MemoryProgress()
    assert await progress.load("t", 0) is None
    progress.save(FIRST)
    assert await progress.load("t", 0) == FIRST


async def test_sqlite_commits_and_rolls_back_with_the_callers_transaction(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "p.db", isolation_level=None)
    mine, theirs = SqliteProgress(db, "mine"), SqliteProgress(db, "theirs")
    assert await mine.load("t", 0) is None
    for saved in (FIRST, OTHER):
        mine.save(saved)
    theirs.save(FIRST)
    db.execute("BEGIN")
    mine.save(SECOND)
    db.execute("ROLLBACK")
    assert await mine.load("t", 0) == FIRST
    mine.save(SECOND)
    assert await mine.load("t", 0) == SECOND
    assert await mine.load("t", 1) == OTHER
    mine.forget()
    assert await mine.load("t", 0) is None
    assert await theirs.load("t", 0) == FIRST


class TestSqlProgressOnSqlite(SqlProgressSuite):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> AsyncEngine:
        return open_database(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
