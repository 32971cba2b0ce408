"""A few tables of one's own in a PostgreSQL database, for what stands beside the log: leases, keys, snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from modelog_common.events.postgres_link import PostgresLink

T = TypeVar("T")


class PostgresTables:
    """Connects to the database at `url`, and makes `tables`, with the first call.

    `tables` may be run again when they are there. `lock` is any number that nobody else in the database locks.
    """

    def __init__(self, url: str, tables: str, lock: int) -> None:
        self._url, self._tables, self._lock = url, tables, lock
        self._link: PostgresLink | None = None
        self._opening = asyncio.Lock()

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Do `work` with a connection, and again when that one turns out to be dead; raises Unavailable."""
        async with self._opening:
            if self._link is None:
                link = await PostgresLink.open(self._url)
                try:
                    await link.run(self._make)
                except BaseException:
                    await link.close()
                    raise
                self._link = link
        return await self._link.run(work)

    async def _make(self, db: Any) -> None:
        async with db.transaction():
            # Two processes that make the same tables at once would be in each other's way.
            await db.execute("SELECT pg_advisory_xact_lock($1)", self._lock)
            await db.execute(self._tables)

    async def close(self) -> None:
        """Close the connections."""
        if self._link is not None:
            await self._link.close()
            self._link = None
