"""A consumer's progress commits with its rows in any SQLAlchemy database: give it the fixture `engine`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest
from modelog_common.bus.progress import Progress, SqlProgress
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

FIRST = Progress("t", 0, "one", 5, {"/a": 3, "/ü": 4})
SECOND = Progress("t", 0, "two", 0, {"/a": 7})
OTHER = Progress("t", 1, "one", 2)
CASE = Progress("T", 0, "one", 9)


class SqlProgressSuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def engine(self) -> AsyncEngine: ...

    async def test_sqlalchemy_commits_and_rolls_back_with_the_callers_transaction(self, engine: AsyncEngine) -> None:
        progress = SqlProgress(engine, "mine")
        await progress.start()
        await progress.start()
        assert await progress.load("t", 0) is None
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE made (n INTEGER)"))
            await connection.execute(text("INSERT INTO made VALUES (1)"))
            for saved in (FIRST, OTHER, CASE):
                await progress.save(connection, saved)

        async def fails() -> None:
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO made VALUES (2)"))
                await progress.save(connection, SECOND)
                raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError):
            await fails()
        assert await progress.load("t", 0) == FIRST
        async with engine.begin() as connection:
            await progress.save(connection, SECOND)
        assert await progress.load("t", 0) == SECOND
        assert await progress.load("t", 1) == OTHER
        assert await progress.load("T", 0) == CASE
        assert await SqlProgress(engine, "Mine").load("t", 0) is None
        async with engine.begin() as connection:
            assert (await connection.execute(text("SELECT n FROM made"))).scalars().all() == [1]
            await progress.forget(connection)
        assert await progress.load("t", 0) is None
        await engine.dispose()
