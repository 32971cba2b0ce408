"""Many changes are written at once as they would be one by one, and writing them again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modelog_common.read.database import open_database
from modelog_common.read.tables import Change, Dated, Put, Remove, temporal_table, write
from sqlalchemy import Column, Integer, MetaData, select

METADATA = MetaData()
TABLE = temporal_table(METADATA, "things", key=["name"], columns=[Column("size", Integer, nullable=True)])


def change(name: str, size: int) -> Change:
    """Size 0 removes."""
    return Put(TABLE, {"name": name}, b"", {"size": size}) if size else Remove(TABLE, {"name": name})


async def written(folder: Path, batches: Sequence[Sequence[Dated]]) -> list[Any]:
    """The rows that stand in a fresh table after these transactions."""
    engine = open_database(f"sqlite+aiosqlite:///{folder / 'read.db'}")
    columns = TABLE.table.c
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.drop_all)
        await connection.run_sync(METADATA.create_all)
    for batch in batches:
        async with engine.begin() as connection:
            await write(connection, batch)
    async with engine.connect() as connection:
        shown = select(columns.tenant, columns.name, columns["size"], columns.valid_from, columns.valid_until)
        rows = (await connection.execute(shown.order_by(columns.tenant, columns.name, columns.valid_from))).all()
    await engine.dispose()
    return [tuple(row) for row in rows]


histories = st.lists(
    st.tuples(st.sampled_from(["acme", "other"]), st.sampled_from(["a", "b"]), st.integers(0, 3)), max_size=12
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories)
async def test_at_once_is_as_one_by_one(tmp_path: Path, history: list[tuple[str, str, int]]) -> None:
    dated = [Dated(change(name, size), tenant, n) for n, (tenant, name, size) in enumerate(history, start=1)]
    one_by_one = await written(tmp_path, [[d] for d in dated])
    assert await written(tmp_path, [dated]) == one_by_one
    assert await written(tmp_path, [dated, dated]) == one_by_one
    half = len(dated) // 2
    assert await written(tmp_path, [dated[:half], dated[half:], dated[half:]]) == one_by_one


async def test_of_two_changes_by_one_event_the_later_stays(tmp_path: Path) -> None:
    dated = [Dated(change("a", size), "acme", position) for size, position in ((1, 1), (2, 2), (3, 2))]
    assert await written(tmp_path, [dated]) == [("acme", "a", 1, 1, 2), ("acme", "a", 3, 2, None)]


@pytest.mark.parametrize("batches", [[], [[]]])
async def test_nothing_to_write(tmp_path: Path, batches: list[list[Dated]]) -> None:
    assert await written(tmp_path, batches) == []
