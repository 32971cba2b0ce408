"""While the database of the read tables is away the service accepts commands, says so, and catches up by itself."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from modelog_common.domain.errors import Unavailable
from modelog_common.read import database
from modelog_common.read.database import open_database
from modelog_proto.common.v1.common_pb2 import ReadOptions
from named_things import Parts, assemble
from real_servers import MariadbServer, PostgresServer
from severed import Way, way_to

PATIENCE_S = 150


async def reached(parts: Parts, position: int) -> None:
    """Wait until the tables are there again and cover a position."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await parts.projector.wait_for(position)
                return
            except Unavailable:
                await asyncio.sleep(0.05)


async def until_told(parts: Parts) -> None:
    """Wait until whoever writes the tables was told that the database is away, too."""
    async with asyncio.timeout(PATIENCE_S):
        while not parts.projector.error:
            await asyncio.sleep(0.01)


async def told_away(parts: Parts, read: ReadOptions) -> None:
    with pytest.raises(Unavailable) as told:
        await parts.name("1", read)
    assert "cannot be used" in str(told.value)
    assert "127.0.0.1" in str(told.value)


class AwaySuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def address(self) -> str: ...

    @pytest.fixture
    async def way(self, address: str) -> AsyncIterator[Way]:
        async with way_to(address) as opened:
            yield opened

    @pytest.fixture
    async def parts(self, tmp_path: Path, way: Way) -> AsyncIterator[Parts]:
        """Everything over a way that was never open yet, with a projector that runs."""
        await way.cut()
        made = await assemble(tmp_path, open_database(way.address, "away"))
        running = asyncio.create_task(made.projector.run())
        yield made
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await made.close()

    async def test_it_starts_without_the_database_and_catches_up(self, parts: Parts, way: Way) -> None:
        for n in range(3):
            last = await parts.rename("1", f"n{n}")
        for read in (ReadOptions(), ReadOptions(at_least=last), ReadOptions(as_of="1")):
            await told_away(parts, read)
        assert "cannot be used" in parts.projector.error
        await way.open()
        await reached(parts, last)
        assert await parts.name("1") == "n2"
        assert await parts.name("1", ReadOptions(as_of="1")) == "n0"

    async def test_a_database_that_dies_while_rows_are_written_loses_and_doubles_nothing(
        self, parts: Parts, way: Way
    ) -> None:
        answers = {}
        last = 0
        for turn in range(5):
            for n in range(40):
                last = await parts.rename(str(n % 4), f"{turn}-{n}")
            if turn % 2:
                await way.cut()
                await parts.rename("1", f"while away {turn}")
                await told_away(parts, ReadOptions())
            else:
                await way.cut()
                await way.open()
                await reached(parts, last)
                answers[last] = await parts.names(ReadOptions(as_of=str(last)))
                continue
            await way.open()
        await reached(parts, last)
        assert parts.projector.error == ""
        assert [await parts.names(ReadOptions(as_of=str(p))) for p in answers] == list(answers.values())
        found = {p: await parts.names(ReadOptions(as_of=str(p))) for p in range(1, last)}
        await parts.projector.rebuild()
        assert found == {p: await parts.names(ReadOptions(as_of=str(p))) for p in range(1, last)}

    async def test_a_connection_that_died_unused_is_replaced(self, parts: Parts, way: Way) -> None:
        await way.open()
        last = await parts.rename("1", "there")
        await reached(parts, last)
        await asyncio.gather(*(parts.name("1") for _ in range(4)))
        await way.cut()
        await way.open()
        assert await parts.name("1") == "there"

    async def test_a_database_that_says_nothing_is_given_up(
        self, parts: Parts, way: Way, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await way.open()
        last = await parts.rename("1", "there")
        await reached(parts, last)
        with monkeypatch.context() as impatient:
            impatient.setattr(database, "READ_S", 0.5)
            impatient.setattr(database, "WRITE_S", 0.5)
            way.silence()
            await told_away(parts, ReadOptions())
            last = await parts.rename("1", "meanwhile")
            await until_told(parts)
        await way.cut()
        await way.open()
        await reached(parts, last)
        assert await parts.name("1") == "meanwhile"


class TestPostgresAway(AwaySuite):
    @pytest.fixture
    def address(self, postgres: PostgresServer) -> str:
        return postgres.create_database()


class TestMariaDbAway(AwaySuite):
    @pytest.fixture
    def address(self, mariadb: MariadbServer) -> str:
        return mariadb.create_database()
