"""Reads of an SQLite file beside what writes it: what they see, several at once, those that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_common.read.database import fetch, open_database, transaction
from modelog_common.read.sqlite_reads import THREADS, Reads, reads_of
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    made = open_database(f"sqlite+aiosqlite:///{tmp_path}/tables.db")
    async with transaction(made) as connection:
        await connection.execute(text("CREATE TABLE facts (number INTEGER)"))
    yield made
    await made.dispose()


class Held:
    """Reads in which `held()` waits until it may go on."""

    def __init__(self, path: Path) -> None:
        engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False}, pool_size=THREADS)
        event.listen(engine, "connect", lambda connection, _: connection.create_function("held", 0, self._hold))
        self.reads = Reads(engine)
        self.go_on = threading.Event()
        self._begun = threading.Semaphore(0)

    def _hold(self) -> int:
        self._begun.release()
        return int(self.go_on.wait(60))

    async def wait_until_begun(self, reads: int) -> None:
        for _ in range(reads):
            assert await asyncio.to_thread(self._begun.acquire, timeout=30), "a read was not begun within 30 s"


@pytest.fixture
def held(engine: AsyncEngine, tmp_path: Path) -> Iterator[Held]:
    made = Held(tmp_path / "tables.db")
    yield made
    made.go_on.set()
    made.reads.close()


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("reads-")}


async def count(engine: AsyncEngine) -> int:
    return int((await fetch(engine, text("SELECT count(*) FROM facts")))[0][0])


async def test_what_was_committed_is_read_and_what_was_not_is_not(engine: AsyncEngine) -> None:
    for number in range(20):
        async with transaction(engine) as connection:
            await connection.execute(text("INSERT INTO facts VALUES (:n)"), {"n": number})
            assert await count(engine) == number
        assert await count(engine) == number + 1


async def test_reads_that_come_one_after_the_other_share_a_thread(engine: AsyncEngine) -> None:
    before = threads()
    for _ in range(10):
        await count(engine)
    assert threads() - before <= {"reads-0"}


async def test_a_short_read_does_not_wait_for_long_ones(held: Held) -> None:
    long = [asyncio.create_task(held.reads.rows(text("SELECT held()"))) for _ in range(THREADS - 1)]
    await held.wait_until_begun(THREADS - 1)
    async with asyncio.timeout(30):
        assert (await held.reads.rows(text("SELECT 1")))[0][0] == 1
    assert not any(task.done() for task in long)
    held.go_on.set()
    assert [rows[0][0] for rows in await asyncio.gather(*long)] == [1] * (THREADS - 1)


async def test_more_reads_than_threads_are_all_answered(engine: AsyncEngine) -> None:
    assert await asyncio.gather(*(count(engine) for _ in range(20 * THREADS))) == [0] * 20 * THREADS


async def test_a_read_that_nobody_waits_for_any_more_holds_up_nobody(engine: AsyncEngine, held: Held) -> None:
    abandoned = asyncio.create_task(held.reads.rows(text("SELECT held() FROM facts UNION SELECT held()")))
    await held.wait_until_begun(1)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    async with asyncio.timeout(30), transaction(engine) as connection:
        await connection.execute(text("INSERT INTO facts VALUES (1)"))
    assert (await held.reads.rows(text("SELECT count(*) FROM facts")))[0][0] == 1


async def test_a_statement_that_is_wrong_raises_what_the_engine_would(engine: AsyncEngine) -> None:
    with pytest.raises(Unavailable, match="no such table: absent"):
        await fetch(engine, text("SELECT * FROM absent"))
    reads = reads_of(engine)
    assert reads is not None
    with pytest.raises(OperationalError, match="no such table: absent"):
        await reads.rows(text("SELECT * FROM absent"))


async def test_an_engine_that_is_let_go_holds_no_thread_and_can_be_used_again(engine: AsyncEngine) -> None:
    before = threads()
    await count(engine)
    await engine.dispose()
    assert threads() <= before
    assert await count(engine) == 0
