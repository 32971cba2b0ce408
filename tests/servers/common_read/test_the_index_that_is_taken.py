"""Servers find rows of temporal tables by the index that is meant for it, also before they know the table well."""

from __future__ import annotations

import pytest
from modelog_common.read import tables
from modelog_common.read.database import open_database
from modelog_common.read.tables import Dated, write
from real_servers import PostgresServer
from sqlalchemy import text
from temporal_writes_suite import TABLE, change, opened

KEYS, VERSIONS = 100, 10
LOG = [
    Dated(change(f"name-{key:03}", version), "acme", (version - 1) * KEYS + key + 1)
    for version in range(1, VERSIONS + 1)
    for key in range(KEYS)
]


async def test_postgres_has_statistics_of_an_epoch_from_its_beginning(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them it ends rows by way of an index by a column, which reads the whole epoch for each."""
    monkeypatch.setattr(tables, "EPOCH_ROWS", KEYS)
    address = postgres.create_database()
    engine = await opened(lambda name: open_database(address, name))
    known = text("SELECT count(*) FROM pg_stats WHERE tablename = :table")
    async with engine.begin() as connection:
        await write(connection, LOG[: KEYS * 2])
        assert (await connection.execute(known, {"table": TABLE.name})).scalar_one() == 0
        await write(connection, LOG[KEYS * 2 : KEYS * 5])
        assert (await connection.execute(known, {"table": TABLE.name})).scalar_one() > 0
    await engine.dispose()
