"""A transaction in a file that is cancelled halfway: nobody waits for what it had locked."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from modelog_common.read.database import open_database, transaction
from sqlalchemy import text

ROUNDS = 200


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What is in a circle stays: the cursor of a statement in the middle of which a task was cancelled."""
    gc.disable()
    yield
    gc.enable()


async def test_a_cancelled_transaction_leaves_no_lock(tmp_path: Path, no_collection: None) -> None:
    file = tmp_path / "tables.db"
    engine = open_database(f"sqlite+aiosqlite:///{file}")
    async with transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE t (x)"))

    async def write() -> None:
        async with transaction(engine) as connection:
            while True:
                await connection.execute(text("INSERT INTO t VALUES (1)"))
                await connection.exec_driver_sql("INSERT INTO t VALUES (?)", [(n,) for n in range(200)])

    for moment in range(ROUNDS):
        writing = asyncio.create_task(write())
        for _ in range(2 * moment):
            await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        with closing(sqlite3.connect(file, timeout=150, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
    await engine.dispose()
