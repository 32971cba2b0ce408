"""How far a publisher and a consumer have come, durably and tied to the topic's incarnation."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy import BigInteger, Column, ColumnElement, Integer, MetaData, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from modelog_common.domain.errors import Unavailable
from modelog_common.read.database import fetch, make_schema, transaction
from modelog_common.read.text import ByteText, document

T = TypeVar("T")
_CREATE_RELAY = """CREATE TABLE IF NOT EXISTS relay_progress (
  topic TEXT PRIMARY KEY, incarnation TEXT NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID"""
_POSITIONS = msgspec.json.Decoder(dict[str, int])


@dataclass(frozen=True)
class Published:
    """Everything of a log up to `position` is in this incarnation of the topic."""

    incarnation: str
    position: int


class RelayProgress(Protocol):
    """Where a publisher remembers how far it has come."""

    async def load(self, topic: str) -> Published | None:
        """What was saved last for this topic."""
        ...

    async def save(self, topic: str, published: Published) -> None:
        """Remember it. Losing the last saves costs repeated messages, nothing else."""
        ...


@dataclass(frozen=True)
class Progress:
    """How far a consumer has come in one partition.

    `offset` is the next one to read in this incarnation of the topic. `positions` is the highest position seen of each
    source; it outlives the incarnation, so what was seen is dropped when it is published again.
    """

    topic: str
    partition: int
    incarnation: str = ""
    offset: int = 0
    positions: Mapping[str, int] = field(default_factory=dict)


class ConsumerProgress(Protocol):
    """Where a consumer's handler keeps its progress, in the same transaction as what it makes of the messages."""

    async def load(self, topic: str, partition: int) -> Progress | None:
        """What was committed last for this partition."""
        ...


class SqliteRelayProgress:
    """A RelayProgress in the table `relay_progress` of an SQLite file, for example the event store's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "relay-progress")
        self._db: sqlite3.Connection | None = None

    async def load(self, topic: str) -> Published | None:
        row = await self._run(
            lambda db: db.execute(
                "SELECT incarnation, position FROM relay_progress WHERE topic = ?", (topic,)
            ).fetchone()
        )
        return None if row is None else Published(row[0], row[1])

    async def save(self, topic: str, published: Published) -> None:
        await self._run(
            lambda db: db.execute(
                "INSERT INTO relay_progress VALUES (?, ?, ?) ON CONFLICT (topic) "
                "DO UPDATE SET incarnation = excluded.incarnation, position = excluded.position",
                (topic, published.incarnation, published.position),
            )
        )

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._thread.shutdown(wait=True)
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._connection()))
        except sqlite3.Error as error:
            raise Unavailable(f"the progress of the relay in {self._path} cannot be used: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            try:
                db.execute("PRAGMA journal_mode=WAL")
                # A save lost to a power failure is published again and dropped by position: no fsync is needed for it.
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute(_CREATE_RELAY)
            except sqlite3.Error:
                db.close()
                raise
            self._db = db
        return self._db


class MemoryProgress:
    """A ConsumerProgress for a reader that starts from the beginning each time its process starts."""

    def __init__(self) -> None:
        self.saved: dict[tuple[str, int], Progress] = {}

    async def load(self, topic: str, partition: int) -> Progress | None:
        return self.saved.get((topic, partition))

    def save(self, progress: Progress) -> None:
        """Remember it until the process ends."""
        self.saved[progress.topic, progress.partition] = progress


_CREATE = """CREATE TABLE IF NOT EXISTS consumer_progress (
  name VARCHAR(200) NOT NULL, topic VARCHAR(200) NOT NULL, part INTEGER NOT NULL,
  incarnation VARCHAR(64) NOT NULL, next_offset BIGINT NOT NULL, positions TEXT NOT NULL,
  PRIMARY KEY (name, topic, part))"""
_LOAD = """SELECT incarnation, next_offset, positions FROM consumer_progress
  WHERE name = :name AND topic = :topic AND part = :part"""
_DELETE = "DELETE FROM consumer_progress WHERE name = :name AND topic = :topic AND part = :part"
_INSERT = """INSERT INTO consumer_progress (name, topic, part, incarnation, next_offset, positions)
  VALUES (:name, :topic, :part, :incarnation, :next_offset, :positions)"""
_FORGET = "DELETE FROM consumer_progress WHERE name = :name"


def _row_of(name: str, progress: Progress) -> dict[str, Any]:
    return {
        "name": name,
        "topic": progress.topic,
        "part": progress.partition,
        "incarnation": progress.incarnation,
        "next_offset": progress.offset,
        "positions": msgspec.json.encode(progress.positions).decode(),
    }


def _progress_of(topic: str, partition: int, row: Any) -> Progress | None:
    if row is None:
        return None
    return Progress(topic, partition, row[0], row[1], _POSITIONS.decode(row[2]))


class SqliteProgress:
    """A ConsumerProgress in the table `consumer_progress` of a sqlite3 connection that the caller owns.

    The calls are short and run in the caller's thread. `save` neither begins nor commits: it is part of the caller's
    transaction.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._db, self._name = connection, name
        connection.execute(_CREATE)

    async def load(self, topic: str, partition: int) -> Progress | None:
        asked = {"name": self._name, "topic": topic, "part": partition}
        return _progress_of(topic, partition, self._db.execute(_LOAD, asked).fetchone())

    def save(self, progress: Progress) -> None:
        """Store it, inside the caller's transaction."""
        row = _row_of(self._name, progress)
        self._db.execute(_DELETE, row)
        self._db.execute(_INSERT, row)

    def forget(self) -> None:
        """Start again from the beginning of every topic, as a rebuild does; inside the caller's transaction."""
        self._db.execute(_FORGET, {"name": self._name})


_metadata = MetaData()
_table = Table(
    "consumer_progress",
    _metadata,
    Column("name", ByteText(200), primary_key=True),
    Column("topic", ByteText(250), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("incarnation", ByteText(64), nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("positions", document(), nullable=False),
)


class SqlProgress:
    """A ConsumerProgress in the table `consumer_progress` of a SQLAlchemy database: SQLite, PostgreSQL or MySQL."""

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine, self._name = engine, name

    async def start(self) -> None:
        """Make the table when it is missing; raises Unavailable when the database does not answer."""
        await make_schema(self._engine)
        async with transaction(self._engine) as connection:
            await connection.run_sync(_metadata.create_all)

    async def load(self, topic: str, partition: int) -> Progress | None:
        c = _table.c
        asked = select(c.incarnation, c.next_offset, c.positions).where(*self._own(topic, partition))
        rows = await fetch(self._engine, asked)
        return _progress_of(topic, partition, rows[0] if rows else None)

    async def save(self, connection: AsyncConnection, progress: Progress) -> None:
        """Store it, inside the transaction of `connection`."""
        await connection.execute(_table.delete().where(*self._own(progress.topic, progress.partition)))
        row = _row_of(self._name, progress)
        await connection.execute(_table.insert().values({**row, "positions": row["positions"].encode()}))

    async def forget(self, connection: AsyncConnection) -> None:
        """Start again from the beginning of every topic, as a rebuild does; inside the transaction of `connection`."""
        await connection.execute(_table.delete().where(_table.c.name == self._name))

    def _own(self, topic: str, partition: int) -> tuple[ColumnElement[bool], ...]:
        return (_table.c.name == self._name, _table.c.topic == topic, _table.c.part == partition)
