"""Tables that are no projection: they cannot be built again, so each commit reaches the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Executable, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from modelog_common.read.database import fetch, forced_to_disk, make_schema, transaction


class KeptTables:
    """Made when they are missing, at first use: so a service starts while its database is away."""

    def __init__(self, engine: AsyncEngine, *tables: MetaData) -> None:
        self._engine, self._tables = engine, tables
        self._made = False
        self._making = asyncio.Lock()
        forced_to_disk(engine)

    async def close(self) -> None:
        """Close the database."""
        await self._engine.dispose()

    async def fetch(self, statement: Executable) -> Sequence[Any]:
        """The rows of a query; raises Unavailable."""
        await self._make()
        return await fetch(self._engine, statement)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; raises Unavailable."""
        await self._make()
        async with transaction(self._engine) as connection:
            yield connection

    async def _make(self) -> None:
        async with self._making:
            if self._made:
                return
            await make_schema(self._engine)
            async with transaction(self._engine) as connection:
                for tables in self._tables:
                    await connection.run_sync(tables.create_all)
            self._made = True
