"""Processes that write to and read from one event store at once. Run as a script: racing.py write|read|draw|tail ...

`write` and `read` go through the store. `draw` and `tail` do the same without it: each writer draws its positions from
a plain sequence, as SQL databases offer, and commits afterwards; the reader asks for what is above the last it saw.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop
from modelog_common.domain.errors import Unavailable
from modelog_common.events.store import Appended, EventStore, NewEvent, StoredEvent

PATIENCE_S, PAUSE_S = 1200.0, 0.1
TASKS = 20
PER_APPEND = 5
SQLITE = "sqlite:///"
KURRENT = "kurrentdb://"


async def open_store(address: str) -> EventStore:
    """The store at an address."""
    if address.startswith(SQLITE):
        from modelog_common.events.sqlite import SqliteEventStore

        return await SqliteEventStore.open(Path(address.removeprefix(SQLITE)))
    if address.startswith(KURRENT):
        from modelog_common.events.kurrent import KurrentEventStore

        return await KurrentEventStore.open(address)
    from modelog_common.events.postgres import PostgresEventStore

    return await PostgresEventStore.open(address)


async def write(address: str, writer: str, count: int) -> None:
    """Append `count` events, some tasks at once, each to a stream of its own."""
    store = await open_store(address)
    async with asyncio.TaskGroup() as group:
        for task in range(TASKS):
            group.create_task(_write(store, f"{writer}.{task}", count // TASKS))
    await store.close()


async def _write(store: EventStore, name: str, count: int) -> None:
    version = 0
    while version < count:
        ids = range(version, min(version + PER_APPEND, count))
        events = [NewEvent(f"{name}.{n}", "race.Ran", 1, b'{"n":%d}' % n, "acme", name) for n in ids]
        version = (await _appended(store, f"race.run-{name}", events, version)).version


async def _appended(store: EventStore, stream: str, events: list[NewEvent], version: int) -> Appended:
    """A server that all of them keep busy may be late: what is asked again under the same ids happens once."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await store.append(stream, events, expected=version)
            except Unavailable:
                await asyncio.sleep(PAUSE_S)


async def _followed(store: EventStore) -> AsyncIterator[StoredEvent]:
    """All events; where the store was away, on from the last one, as a projection does."""
    last = 0
    while True:
        try:
            async for stored in store.subscribe(after=last):
                last = stored.position
                yield stored
        except Unavailable:
            await asyncio.sleep(PAUSE_S)


async def read(address: str, total: int) -> None:
    """Follow the store from the beginning: every position comes once, in order, and so does each writer's event."""
    store = await open_store(address)
    digest, versions, last = hashlib.sha256(), dict[str, int](), 0
    async for stored in _followed(store):
        if stored.position != last + 1:
            sys.exit(f"position {stored.position} came after {last}")
        last = stored.position
        if stored.version != versions.get(stored.stream, 0) + 1:
            sys.exit(f"{stored.stream} went from version {versions.get(stored.stream, 0)} to {stored.version}")
        versions[stored.stream] = stored.version
        if stored.id != f"{stored.actor}.{stored.version - 1}":
            sys.exit(f"{stored.id} stands at version {stored.version} of {stored.stream}")
        digest.update(stored.id.encode())
        if last == total:
            break
    print(last, sum(versions.values()), digest.hexdigest())
    await store.close()


class PlainFile:
    """A table in an SQLite file, with positions from a sequence."""

    def __init__(self, address: str) -> None:
        self.db = sqlite3.connect(address.removeprefix(SQLITE), timeout=60, isolation_level=None)

    async def make(self) -> None:
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("DROP TABLE IF EXISTS sequence")
        self.db.execute("CREATE TABLE sequence AS SELECT 0 AS last")
        self.db.execute("DROP TABLE IF EXISTS plain")
        self.db.execute("CREATE TABLE plain (position INTEGER PRIMARY KEY)")

    async def insert(self) -> None:
        ((position,),) = self.db.execute("UPDATE sequence SET last = last + 1 RETURNING last").fetchall()
        self.db.execute("INSERT INTO plain VALUES (?)", (position,))

    async def above(self, last: int) -> list[int]:
        query = "SELECT position FROM plain WHERE position > ? ORDER BY position"
        return [row[0] for row in self.db.execute(query, (last,))]

    async def close(self) -> None:
        self.db.close()


class PlainTable:
    """A table in PostgreSQL, with positions from a sequence."""

    def __init__(self, address: str) -> None:
        import asyncpg

        self.pool = asyncpg.create_pool(address, min_size=0, max_size=1)

    async def make(self) -> None:
        await (await self.pool).execute("DROP TABLE IF EXISTS plain")
        await (await self.pool).execute("CREATE TABLE plain (position bigserial PRIMARY KEY)")

    async def insert(self) -> None:
        await (await self.pool).execute("INSERT INTO plain DEFAULT VALUES")

    async def above(self, last: int) -> list[int]:
        query = "SELECT position FROM plain WHERE position > $1 ORDER BY position"
        return [row[0] for row in await (await self.pool).fetch(query, last)]

    async def close(self) -> None:
        await self.pool.close()


def plain(address: str) -> PlainFile | PlainTable:
    """The plain table at an address."""
    return PlainFile(address) if address.startswith(SQLITE) else PlainTable(address)


async def make(address: str) -> None:
    """Make the plain table, anew if it is there."""
    table = plain(address)
    await table.make()
    await table.close()


async def draw(address: str, count: int) -> None:
    """Insert `count` rows, one a transaction."""
    table = plain(address)
    for _ in range(count):
        await table.insert()
    await table.close()


async def tail(address: str, total: int) -> None:
    """Follow the plain table up to its last row; prints how many rows the reader passed without seeing them."""
    table, last, seen = plain(address), 0, 0
    async with asyncio.timeout(PATIENCE_S):
        while last < total:
            found = await table.above(last)
            seen += len(found)
            last = found[-1] if found else last
    print(total - seen)
    await table.close()


if __name__ == "__main__":
    mode, address, *rest = sys.argv[1:]
    if mode == "write":
        uvloop.run(write(address, rest[0], int(rest[1])))
    else:
        uvloop.run({"read": read, "draw": draw, "tail": tail}[mode](address, int(rest[0])))
