"""Many changes are written at once as they would be one by one, on every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.domain.ids import uuid7
from modelog_common.read import tables
from modelog_common.read.database import make_schema
from modelog_common.read.tables import Change, Dated, Put, Remove, temporal_table, write
from named_things import OpenTables
from sqlalchemy import Column, Integer, MetaData, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

METADATA = MetaData()
TABLE = temporal_table(METADATA, "sizes", key=["name"], columns=[Column("size", Integer, nullable=True)])
histories = st.lists(
    st.tuples(st.sampled_from(["acme", "other"]), st.sampled_from(["a", "b"]), st.integers(0, 3)), max_size=12
)


def change(name: str, size: int) -> Change:
    """Size 0 removes."""
    return Put(TABLE, {"name": name}, b"", {"size": size}) if size else Remove(TABLE, {"name": name})


async def opened(open_tables: OpenTables) -> AsyncEngine:
    engine = open_tables(str(uuid7()))
    await make_schema(engine)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    return engine


async def worlds(engine: AsyncEngine, positions: Sequence[int | None]) -> list[Any]:
    """What is true as of each position."""
    c = TABLE.table.c
    async with engine.connect() as connection:
        shown = [select(c.tenant, c.name, c["size"]).where(TABLE.at(p)).order_by(c.tenant, c.name) for p in positions]
        return [[tuple(row) for row in await connection.execute(s)] for s in shown]


class TemporalWritesSuite(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def open_tables(self) -> OpenTables: ...

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=histories, epoch_rows=st.sampled_from([1, 1000]), size=st.sampled_from([1, 2, 12]))
    async def test_at_once_is_as_one_by_one(
        self, open_tables: OpenTables, history: list[tuple[str, str, int]], epoch_rows: int, size: int
    ) -> None:
        """As of every position there is what a dictionary would hold, however the changes are cut into batches."""
        dated = [Dated(change(name, size), tenant, n) for n, (tenant, name, size) in enumerate(history, start=1)]
        expected: list[dict[tuple[str, str], int]] = [{}]
        for tenant, name, length in history:
            expected.append({**expected[-1], (tenant, name): length})
        engine = await opened(open_tables)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(tables, "EPOCH_ROWS", epoch_rows)
            for first in range(0, len(dated), size):
                async with engine.begin() as connection:
                    await write(connection, dated[first : first + size])
        found = await worlds(engine, [*range(len(history) + 1), None])
        shown = [[(*key, n) for key, n in sorted(world.items()) if n] for world in [*expected, expected[-1]]]
        assert found == shown
        await engine.dispose()

    async def test_of_two_changes_by_one_event_the_later_stays(self, open_tables: OpenTables) -> None:
        engine = await opened(open_tables)
        dated = [Dated(change("a", size), "acme", position) for size, position in ((1, 1), (2, 2), (3, 2))]
        async with engine.begin() as connection:
            await write(connection, dated)
        assert await worlds(engine, [1, 2, None]) == [[("acme", "a", 1)], [("acme", "a", 3)], [("acme", "a", 3)]]
        await engine.dispose()

    async def test_nothing_to_write(self, open_tables: OpenTables) -> None:
        engine = await opened(open_tables)
        async with engine.begin() as connection:
            await write(connection, [])
        assert await worlds(engine, [0, None]) == [[], []]
        await engine.dispose()

    async def test_a_key_has_one_row_that_is_true_now(self, open_tables: OpenTables) -> None:
        engine = await opened(open_tables)
        async with engine.begin() as connection:
            await write(connection, [Dated(change("a", 1), "acme", 1)])
            row = (await connection.execute(select(TABLE.table))).mappings().one()
        twice = {k: v for k, v in row.items() if k != "row"} | {"valid_from": 2}
        with pytest.raises(IntegrityError):
            async with engine.begin() as connection:
                await connection.execute(TABLE.table.insert(), [twice])
        await engine.dispose()
