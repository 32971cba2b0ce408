"""The PostgreSQL adapter passes the event store's suite on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from dropping_proxy import DroppingProxy
from event_store_network import EventStoreNetwork
from event_store_race import EventStoreRace, PlainSequenceRace
from event_store_suite import EventStoreSuite, Reopen, collect, new
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Unavailable
from modelog_common.events.postgres import PostgresEventStore
from modelog_common.events.postgres_schema import COLUMNS
from modelog_common.events.store import EventStore
from real_servers import PostgresServer

FORMAT_1 = Path(__file__).with_name("format_1.sql")
HELD_IN_FORMAT_1 = """
  VALUES (1, 'held', 'a.b-1', 1, 'test.Happened', 1, '2026-01-01T00:00Z', 'acme', 'alice', '', '', '', '{}')
"""


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.create_database()


class TestPostgresEventStore(EventStoreSuite):
    @pytest.fixture
    async def store(self, database: str, clock: ManualClock) -> AsyncIterator[EventStore]:
        store = await PostgresEventStore.open(database, clock)
        yield store
        await store.close()

    @pytest.fixture
    async def reopen(self, store: EventStore, database: str, clock: ManualClock) -> AsyncIterator[Reopen]:
        opened: list[PostgresEventStore] = []

        async def again() -> EventStore:
            opened.append(await PostgresEventStore.open(database, clock))
            return opened[-1]

        yield again
        for other in opened:
            await other.close()


class TestRacingForOneDatabase(EventStoreRace, PlainSequenceRace):
    @pytest.fixture
    async def address(self, database: str) -> str:
        return database


class TestPostgresOverABadNetwork(EventStoreNetwork):
    @pytest.fixture
    async def server(self, database: str) -> tuple[str, int]:
        address = urlsplit(database)
        assert address.hostname is not None
        assert address.port is not None
        return address.hostname, address.port

    @pytest.fixture
    async def direct(self, database: str) -> AsyncIterator[EventStore]:
        store = await PostgresEventStore.open(database)
        yield store
        await store.close()

    @pytest.fixture
    async def store(self, direct: EventStore, database: str, proxy: DroppingProxy) -> AsyncIterator[EventStore]:
        address = urlsplit(database)
        store = await PostgresEventStore.open(
            database.replace(f"{address.hostname}:{address.port}", f"127.0.0.1:{proxy.port}")
        )
        yield store
        await store.close()


async def test_a_newer_format_is_refused_and_left_alone(database: str) -> None:
    await (await PostgresEventStore.open(database)).close()
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE modelog_events.meta SET value = '3' WHERE key = 'format'")
    with pytest.raises(Unavailable, match=r"newer release .format 3."):
        await PostgresEventStore.open(database)
    assert await connection.fetchval("SELECT value FROM modelog_events.meta WHERE key = 'format'") == "3"
    await connection.close()


async def test_a_store_of_format_1_is_brought_up_to_date(database: str) -> None:
    """By one of several that open it at once; what it held stays, and the next append goes on from there."""
    connection = await asyncpg.connect(database)
    await connection.execute(FORMAT_1.read_text())
    await connection.execute(f"INSERT INTO modelog_events.events ({COLUMNS}) {HELD_IN_FORMAT_1}")
    first, *others = await asyncio.gather(*(PostgresEventStore.open(database) for _ in range(3)))
    assert (await first.append("a.b-1", [new(2)], expected=1)).position == 2
    assert [(e.id == "held", e.category) for e in await collect(first.read_all(categories=["a.b"]))] == [
        (True, "a.b"),
        (False, "a.b"),
    ]
    assert await connection.fetchval("SELECT value FROM modelog_events.meta WHERE key = 'format'") == "2"
    for store in (first, *others):
        await store.close()
    await connection.close()


async def test_a_database_that_does_not_hold_unicode_is_refused(database: str) -> None:
    connection = await asyncpg.connect(database)
    name = f"{database.rpartition('/')[2]}_latin"
    await connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(Unavailable, match="encoding LATIN1; an event store needs UTF8"):
        await PostgresEventStore.open(database.rpartition("/")[0] + f"/{name}")
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", r"127.0.0.1:1/x cannot be used"),
        ("postgresql://u:secret@127.0.0.1:notaport/x", "cannot be used"),
    ],
)
async def test_a_server_that_is_not_there_is_said_without_the_password(address: str, wrong: str) -> None:
    with pytest.raises(Unavailable, match=wrong) as refused:
        await PostgresEventStore.open(address)
    assert "secret" not in str(refused.value)


async def test_connections_that_the_server_ended_are_replaced(database: str) -> None:
    store = await PostgresEventStore.open(database)
    await store.append("a.b-1", [new(1)])
    waiting = asyncio.create_task(store.wait_beyond(1, timeout_s=150))
    administrator = await asyncpg.connect(database)
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'modelog'"
    assert await administrator.fetchval(ended) >= 1
    assert (await store.append("a.b-1", [new(2)], expected=1)).position == 2
    assert await waiting == 2
    await administrator.close()
    await store.close()
