"""Servers find rows of temporal tables by the index that is meant for it, also before they know the table well."""

from __future__ import annotations

import pytest
from modelog_common.read import tables
from modelog_common.read.database import open_database
from modelog_common.read.tables import Dated, write
from real_servers import MariadbServer, PostgresServer
from sqlalchemy import select, text
from temporal_writes_suite import TABLE, change, opened

KEYS, VERSIONS, PAGE = 100, 10, 20
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


@pytest.mark.parametrize("at", [None, KEYS * VERSIONS // 2], ids=["now", "the middle"])
async def test_mariadb_looks_up_no_more_rows_than_are_on_the_page(mariadb: MariadbServer, at: int | None) -> None:
    """Whatever other versions they have."""
    address = mariadb.create_database()
    engine = await opened(lambda name: open_database(address, name))
    own = TABLE.table.c
    page = select(own.name).where(own.tenant == "acme", TABLE.at(at)).order_by(own.tenant, own.name).limit(PAGE)
    async with engine.begin() as connection:
        await write(connection, LOG)
        await connection.execute(text("FLUSH STATUS"))
        assert len((await connection.execute(TABLE.by_key(page.add_columns(own.body)))).all()) == PAGE
        looked_up = await connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read_next'"))
    assert int(looked_up.one()[1]) <= PAGE
    await engine.dispose()
