"""A consumer's progress commits with its rows, whichever database holds both."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from modelog_common.bus.progress import MemoryProgress, Progress, SqliteProgress, SqlProgress
from modelog_common.read.database import open_database
from sqlalchemy import text

FIRST = Progress("t", 0, "one", 5, {"/a": 3, "/ü": 4})
SECOND = Progress("t", 0, "two", 0, {"/a": 7})
OTHER = Progress("t", 1, "one", 2)


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


async def test_sqlalchemy_commits_and_rolls_back_with_the_callers_transaction(tmp_path: Path) -> None:
    engine = open_database(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
    progress = SqlProgress(engine, "mine")
    await progress.start()
    await progress.start()
    assert await progress.load("t", 0) is None
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE rows (n INTEGER)"))
        await connection.execute(text("INSERT INTO rows VALUES (1)"))
        await progress.save(connection, FIRST)

    async def fails() -> None:
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO rows VALUES (2)"))
            await progress.save(connection, SECOND)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await fails()
    assert await progress.load("t", 0) == FIRST
    async with engine.begin() as connection:
        await progress.save(connection, SECOND)
    assert await progress.load("t", 0) == SECOND
    async with engine.begin() as connection:
        assert (await connection.execute(text("SELECT n FROM rows"))).scalars().all() == [1]
        await progress.forget(connection)
    assert await progress.load("t", 0) is None
    await engine.dispose()
