"""Whatever a PostgreSQL event store tells of is on the disk: killed at once, the server still has it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import pytest
from event_store_suite import collect, new
from modelog_common.events.postgres import PostgresEventStore
from modelog_common.events.postgres_schema import LOCK
from real_servers import PostgresServer, started_again

LATER = datetime(2030, 1, 1, tzinfo=UTC)
# What the first transaction of an append comes to, before it waits for the disk.
SEEN_BUT_NOT_DURABLE = """
  INSERT INTO modelog_events.events VALUES
    (2, 'second', 'a.b-1', 2, 'test.Happened', 1, now(), 'acme', 'alice', '', '', '', '{}', 'a.b')
"""
Look = Callable[[PostgresEventStore], Awaitable[bool]]


async def sees_it_in_the_log(store: PostgresEventStore) -> bool:
    return len(await collect(store.read_all(until=2))) == 2


async def sees_it_in_its_stream(store: PostgresEventStore) -> bool:
    return len(await collect(store.read_stream("a.b-1"))) == 2


async def finds_it(store: PostgresEventStore) -> bool:
    return await store.find("second") is not None


async def is_told_the_head(store: PostgresEventStore) -> bool:
    return await store.head() == 2


async def waits_for_it(store: PostgresEventStore) -> bool:
    return await store.wait_beyond(1, timeout_s=150) == 2


async def is_told_its_position(store: PostgresEventStore) -> bool:
    return await store.position_at(LATER) == 2


async def appends_it_again(store: PostgresEventStore) -> bool:
    return (await store.append("a.b-1", [new(2, event_id="second")])).repeated


@pytest.mark.parametrize(
    "look",
    [
        sees_it_in_the_log, sees_it_in_its_stream, finds_it, is_told_the_head, waits_for_it, is_told_its_position,
        appends_it_again,
    ],
)  # fmt: skip
async def test_who_saw_an_event_finds_it_after_a_kill(postgres: PostgresServer, look: Look) -> None:
    database = postgres.create_database()
    store = await PostgresEventStore.open(database)
    await store.append("a.b-1", [new(1)])
    writer = await asyncpg.connect(database, server_settings={"synchronous_commit": "off"})
    await writer.execute(SEEN_BUT_NOT_DURABLE)
    try:
        assert await look(store)
        postgres.kill()
    finally:
        writer.terminate()
        started_again(postgres)
    assert [e.id for e in await collect(store.read_all())][1:] == ["second"]
    await store.close()


async def test_the_lock_is_free_while_the_disk_is_waited_for(postgres: PostgresServer) -> None:
    """Standbys that never answer stand for a disk that never does."""
    database = postgres.create_database()
    store, other = await PostgresEventStore.open(database), await PostgresEventStore.open(database)
    administrator = await asyncpg.connect(database)
    await administrator.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    await administrator.execute("SELECT pg_reload_conf()")
    try:
        async with asyncio.TaskGroup() as group, asyncio.timeout(150):
            waiting = [group.create_task(s.append("a.b-1", [new()])) for s in (store, other)]
            await _waiting_for_standbys(administrator, 2)
            assert await administrator.fetchval(f"SELECT pg_try_advisory_xact_lock({LOCK})")
            assert await administrator.fetchval("SELECT count(*) FROM modelog_events.events") == 2
            reading = group.create_task(store.head())
            await _waiting_for_standbys(administrator, 3)
            assert not any(task.done() for task in (*waiting, reading))
            await administrator.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await administrator.execute("SELECT pg_reload_conf()")
        assert sorted(task.result().position for task in waiting) == [1, 2]
        assert reading.result() == 2
    finally:
        await administrator.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await administrator.execute("SELECT pg_reload_conf()")
        await administrator.close()
    await store.close()
    await other.close()


async def _waiting_for_standbys(administrator: asyncpg.Connection, count: int) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    while await administrator.fetchval(waiting) < count:
        await asyncio.sleep(0)
