"""The database that holds a service's read tables: SQLite, PostgreSQL, or MariaDB and MySQL."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, BigInteger, Column, Executable, MetaData, Table, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateSchema

from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.read.sqlite_reads import read_beside, reads_of
from modelog_common.read.text import MYSQL, ByteText

# What an address begins with: the driver, its module, and the extra that installs it.
SERVERS = {
    "postgresql": ("postgresql+asyncpg", "asyncpg", "postgres"),
    "mysql": ("mysql+aiomysql", "aiomysql", "mysql"),
    "mariadb": ("mysql+aiomysql", "aiomysql", "mysql"),
}
ALLOWED = "postgresql://user:password@host/database or mysql://user:password@host/database"
SETTING = "MODELOG_TABLES"
CONNECT_S = 15
READ_S = 30
WRITE_S = 600
# SQLSTATE classes and codes that say nothing of the statement: the connection, the server's resources, an operator, a
# deadlock, and a table or schema that is not there because the database itself was made again.
_STATES = ("08", "40", "53", "55P03", "57", "58", "25006", "42P01", "3F000", "3D000", "28")
# The same of MySQL: no such database or table, a deadlock, a lock that did not come in time, a changed snapshot, a full
# disk, a server that only reads.
_NUMBERS = (1049, 1146, 1213, 1205, 1020, 1021, 1114, 1290, 1836)

metadata = MetaData()
progress = Table(
    "projection_progress",
    metadata,
    Column("name", ByteText(), primary_key=True),
    Column("schema", ByteText(64), nullable=False),
    Column("position", BigInteger, nullable=False),
)


class _RollsBack(sqlite3.Connection):
    """Closing ends the transaction. SQLite keeps a connection open, with its locks, as long as a cursor is there.

    When a task is cancelled within a transaction, its connection is closed, and the cursor goes when the garbage is
    collected: until then nobody else could write.
    """

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


def open_database(address: str, owner: str = "") -> AsyncEngine:
    """An engine for `address`, whose tables stand apart from those of other owners.

    On PostgreSQL they have a schema of their own, on MariaDB and MySQL a database.

    Connects later. For a SQLite file its folder is made, and WAL is switched on. Raises Invalid for a driver that is
    not installed, and for an address that is none; neither repeats the password.
    """
    if address.startswith("sqlite"):
        engine = create_async_engine(address, connect_args={"factory": _RollsBack})
        if engine.url.database and engine.url.database != ":memory:":
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            read_beside(engine, _sqlite_pragmas)
        event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
        return engine
    try:
        url = make_url(address)
        driver, module, extra = SERVERS[url.drivername]
    except (ArgumentError, KeyError):
        raise Invalid.field(SETTING, f"is not an address of a database; allowed: {ALLOWED}") from None
    if find_spec(module) is None:
        raise Invalid.field(SETTING, f"{url.drivername}:// needs modelog-common[{extra}]; install it")
    mysql = module == "aiomysql"
    url, connect = _connecting(url.set(drivername=driver), mysql)
    own = f"{url.database}_{owner}" if mysql else f"modelog_{owner}"
    return create_async_engine(
        url, connect_args=connect, pool_recycle=1800, execution_options={"schema_translate_map": {None: own}}
    )


def _connecting(url: URL, mysql: bool) -> tuple[URL, dict[str, Any]]:
    """The address without what the driver takes in another form, and that form."""
    wants_tls = url.query.get("ssl") == "true" or url.query.get("sslmode") in ("require", "verify-ca", "verify-full")
    if mysql:
        own = {"charset": "utf8mb4", "connect_timeout": CONNECT_S}
        context = ssl.create_default_context() if wants_tls else None
        return url.difference_update_query(["ssl", "sslmode"]), own | ({"ssl": context} if context else {})
    mode = url.query.get("sslmode")
    return url.difference_update_query(["sslmode"]), {"timeout": CONNECT_S} | ({"ssl": mode} if mode else {})


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # A projection can be built again from the log, so losing its last commits to a power failure costs nothing.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()


def forced_to_disk(engine: AsyncEngine) -> None:
    """A read table can be built again; for what cannot, each commit of an SQLite file waits for the disk."""
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _synchronous)


def _synchronous(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


async def fetch(engine: AsyncEngine, statement: Executable) -> Sequence[Any]:
    """The rows of one query; raises Unavailable when the database does not answer.

    A connection of the pool that died since it was used last is noticed only by using it: a second one is tried.
    """
    reads = reads_of(engine)
    for last in (False, True):
        try:
            if reads is not None:
                async with asyncio.timeout(READ_S):
                    return await reads.rows(statement)
            async with asyncio.timeout(READ_S), engine.connect() as connection:
                return (await connection.execute(statement)).all()
        except Exception as error:
            if last or not (isinstance(error, DBAPIError) and error.connection_invalidated):
                raise explained(engine, error) from error
    raise AssertionError("unreachable")


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that commits at the end; raises Unavailable when the database does not answer.

    Nothing but the database may be waited for inside: a time-out is taken for the database's.
    """
    try:
        async with asyncio.timeout(WRITE_S), engine.begin() as connection:
            yield connection
    except Exception as error:
        raise explained(engine, error) from error


def explained(engine: AsyncEngine, error: Exception) -> Exception:
    """Unavailable when the database is what failed, and not the statement; otherwise the error itself."""
    if not _is_away(error):
        return error
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    reason = f"no answer in {CONNECT_S} to {WRITE_S} s" if isinstance(error, TimeoutError) else str(cause)
    place = engine.url.render_as_string(hide_password=True)
    return Unavailable(f"the read tables in {place} cannot be used: {reason or type(cause).__name__}")


def _is_away(error: Exception) -> bool:
    if isinstance(error, OSError | TimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        # What a driver raises while it connects is not wrapped.
        return str(getattr(error, "sqlstate", None) or "").startswith(_STATES)
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    cause = error.orig
    number = cause.args[0] if cause is not None and cause.args else None
    if number in _NUMBERS or str(getattr(cause, "sqlstate", None) or "").startswith(_STATES):
        return True
    return isinstance(error, OperationalError) and not isinstance(error, IntegrityError)


async def make_schema(engine: AsyncEngine) -> None:
    """Make the schema of the engine's tables unless it is there."""
    schema = engine.get_execution_options().get("schema_translate_map", {}).get(None)
    if schema is None:
        return
    async with transaction(engine) as connection:
        names = await connection.run_sync(lambda own: engine.dialect.get_schema_names(own))
        if schema not in names and engine.dialect.name in MYSQL:
            quoted = engine.dialect.identifier_preparer.quote_schema(schema)
            await connection.execute(text(f"CREATE DATABASE IF NOT EXISTS {quoted}"))
        elif schema not in names:
            await connection.execute(CreateSchema(schema, if_not_exists=True))


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


async def advance(connection: AsyncConnection, name: str, schema: str, start: int, end: int) -> bool:
    """Take a projection from one position to another; False when it is not where it was left.

    Held to the end of the transaction, so of two processes that project into the same tables one waits for the other.
    """
    where = (progress.c.name == name, progress.c.schema == schema, progress.c.position == start)
    return (await connection.execute(progress.update().where(*where).values(position=end))).rowcount == 1
