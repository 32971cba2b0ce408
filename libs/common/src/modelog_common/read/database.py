"""The database that holds a service's read tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, String, Table, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

metadata = MetaData()
progress = Table(
    "projection_progress",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("schema", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
)


def open_database(url: str) -> AsyncEngine:
    """An engine for `url`; for a SQLite file its folder is made, and WAL is switched on."""
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        if engine.url.database and engine.url.database != ":memory:":
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # A projection can be built again from the log, so losing its last commits to a power failure costs nothing.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()


async def load_progress(connection: AsyncConnection, name: str) -> tuple[str, int] | None:
    """The schema that a projection was built with and its position."""
    row = (await connection.execute(progress.select().where(progress.c.name == name))).one_or_none()
    return None if row is None else (row.schema, row.position)


async def save_progress(connection: AsyncConnection, name: str, schema: str, position: int) -> None:
    changed = await connection.execute(
        progress.update().where(progress.c.name == name).values(schema=schema, position=position)
    )
    if changed.rowcount == 0:
        await connection.execute(progress.insert().values(name=name, schema=schema, position=position))
