"""Servers find rows of temporal tables by the index that is meant for it, also before they know the table well."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.read import tables
from modelog_common.read.database import open_database
from modelog_common.read.tables import Dated, write
from modelog_proto.common.v1.common_pb2 import Page, ReadOptions
from modelog_proto.registry.v1.model_pb2 import Model
from named_things import TABLE as THINGS
from named_things import assemble
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


async def test_mariadb_passes_only_rows_that_a_page_by_a_column_may_hold(
    mariadb: MariadbServer, tmp_path: Path
) -> None:
    """It would sort all, to know the order of those that are equal in the column."""
    address = mariadb.create_database()
    parts = await assemble(tmp_path, open_database(address, "own"))
    for n in range(KEYS):
        for version in range(1 + n % VERSIONS):
            last = await parts.rename(str(n), f"n{n} {version}")
    await parts.projector.catch_up()

    async def rows_passed() -> int:
        passed = text("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
        async with parts.engine.connect() as connection:
            return sum(int(row[1]) for row in await connection.execute(passed))

    most_changed, equal = [THINGS.table.c.times.desc()], KEYS // VERSIONS
    for read in (ReadOptions(), ReadOptions(as_of=str(last // 2))):
        before = await rows_passed()
        await parts.queries.page(THINGS, Model, read, "acme", Page(size=equal // 2), order_by=most_changed)
        assert await rows_passed() - before <= KEYS
    await parts.close()
