"""The log's tools with PostgreSQL: moved there and back, audited through the store's port, backed up and restored."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import NotAllowed
from modelog_common.events.sqlite import SqliteEventStore
from modelog_common.events.store import EventStore
from modelog_lineage.audit.log import AuditLog
from modelog_lineage.audit.treefile import TreeFile
from modelog_platform.log import backup
from modelog_platform.log.backup import Source
from modelog_platform.log.restore import Target, choose, restore
from modelog_platform.log.stores import opened
from modelog_platform.log.transfer import export_log, import_log, verified
from modelog_proofs import generate_key
from real_servers import PostgresServer

sys.path.append(str(Path(__file__).parents[1] / "integration" / "platform_log"))

from log_support import everything, fill, new_event, root_of, sign

KEY = generate_key("modelog/test")


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.create_database()


@pytest.fixture
async def moved(address: str, tmp_path: Path) -> AsyncIterator[tuple[EventStore, EventStore]]:
    """A log in SQLite, and the same in PostgreSQL, moved there through a file."""
    embedded = await SqliteEventStore.open(tmp_path / "events.db")
    await fill(embedded, 60)
    await export_log(embedded, tmp_path / "log.jsonl.gz", 1, None, lambda done, total: None)
    signed = (sign(await everything(embedded), KEY), KEY.public_key.text())
    async with opened(address, make=True) as store:
        await import_log(store, tmp_path / "log.jsonl.gz", lambda done, total: None, signed=signed)
        yield embedded, store
    await embedded.close()


async def test_a_log_moves_there_and_back(moved: tuple[EventStore, EventStore], tmp_path: Path) -> None:
    embedded, store = moved
    assert await everything(store) == await everything(embedded)
    assert (await verified(store, sign(await everything(embedded), KEY), KEY.public_key.text(), "postgres")).ok
    assert (await store.append("test.thing-0", [new_event(60)], expected=20)).position == 61
    await export_log(store, tmp_path / "back.jsonl", 1, None, lambda done, total: None)
    back = await SqliteEventStore.open(tmp_path / "back.db")
    again = await import_log(back, tmp_path / "back.jsonl", lambda done, total: None)
    assert again.root == root_of(await everything(store))
    assert await everything(back) == await everything(store)
    await back.close()


async def test_an_altered_row_is_named(moved: tuple[EventStore, EventStore], address: str, tmp_path: Path) -> None:
    _, store = moved
    tree = TreeFile(tmp_path / "audit.db")
    audit = AuditLog(store, tree, tmp_path / "audit-key", SystemClock())
    report, troubles = await audit.verify(None)
    assert (report.ok, report.events_read, troubles) == (True, 60, [])
    connection = await asyncpg.connect(address)
    table = await connection.fetchval(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
        "WHERE tablename = 'events' AND schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    await connection.execute(f"UPDATE {table} SET actor = 'mallory' WHERE position = 17")
    await connection.close()
    report, _ = await audit.verify(None)
    assert report.first_altered == 17
    await tree.close()


async def test_it_is_backed_up_and_restored(
    moved: tuple[EventStore, EventStore], postgres: PostgresServer, tmp_path: Path
) -> None:
    _, store = moved
    source = Source(tmp_path / "data", None)
    made = await backup.create(store, source, tmp_path / "backups", None, lambda what, done, total: None)
    assert made.position == 60
    other = postgres.create_database()
    chosen = choose(tmp_path / "backups", 45)
    target = Target(tmp_path / "restored", store=other, until=45)
    assert await restore(chosen, target, "", lambda what, done, total: None) == 45
    async with opened(other) as again:
        assert await everything(again) == await everything(store, until=45)
    with pytest.raises(NotAllowed, match="is not empty"):
        await restore(chosen, Target(tmp_path / "more", store=other), "", lambda what, done, total: None)
