"""How far a consumer has come, durably, tied to the topic's incarnation, and fenced against a second instance.

The row of a partition is a lock: it is saved only when it still says what the batch began with. Of two instances of a
consumer that handled the same batch, one commits; the other's whole transaction is refused, rows and all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from sqlalchemy import BigInteger, Column, ColumnElement, Integer, MetaData, Table, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from modelog_common.domain.errors import Conflict
from modelog_common.read.database import fetch, make_schema, transaction
from modelog_common.read.text import ByteText, document

_POSITIONS = msgspec.json.Decoder(dict[str, int])


@dataclass(frozen=True)
class Place:
    """What a partition's row says of where reading stands."""

    incarnation: str = ""
    offset: int = 0
    turn: int = 0


NOWHERE = Place()


@dataclass(frozen=True)
class Progress:
    """How far a consumer has come in one partition.

    `offset` is the next one to read in this incarnation of the topic. `positions` is the highest position seen of each
    source; it outlives the incarnation, so what was seen is dropped when it is published again. `turn` counts the
    commits. `follows` is what the row said before: saving is refused when it says anything else by now; None saves
    over whatever is there.
    """

    topic: str
    partition: int
    incarnation: str = ""
    offset: int = 0
    positions: Mapping[str, int] = field(default_factory=dict)
    turn: int = 0
    follows: Place | None = field(default=None, compare=False)

    @property
    def place(self) -> Place:
        return Place(self.incarnation, self.offset, self.turn)


class Overtaken(Conflict):
    """Another instance of the consumer has gone on from here: nothing of this batch may be kept."""

    def __init__(self, name: str, progress: Progress) -> None:
        super().__init__(
            f"another instance of {name} reads {progress.topic}[{progress.partition}]: it has gone on from offset "
            f"{progress.follows.offset if progress.follows else 0}, where this one began"
        )


class ConsumerProgress(Protocol):
    """Where a consumer's handler keeps its progress, in the same transaction as what it makes of the messages."""

    async def load(self, topic: str, partition: int) -> Progress | None:
        """What was committed last for this partition."""
        ...


class MemoryProgress:
    """A ConsumerProgress for a reader that starts from the beginning each time its process starts."""

    def __init__(self) -> None:
        self.saved: dict[tuple[str, int], Progress] = {}

    async def load(self, topic: str, partition: int) -> Progress | None:
        return self.saved.get((topic, partition))

    def save(self, progress: Progress) -> None:
        """Remember it until the process ends."""
        self.saved[progress.topic, progress.partition] = progress


_CREATE = """CREATE TABLE IF NOT EXISTS consumer_place (
  name VARCHAR(200) NOT NULL, topic VARCHAR(250) NOT NULL, part INTEGER NOT NULL,
  incarnation VARCHAR(64) NOT NULL, next_offset BIGINT NOT NULL, positions TEXT NOT NULL, turn BIGINT NOT NULL,
  PRIMARY KEY (name, topic, part))"""
_LOAD = """SELECT incarnation, next_offset, positions, turn FROM consumer_place
  WHERE name = :name AND topic = :topic AND part = :part"""
_DELETE = "DELETE FROM consumer_place WHERE name = :name AND topic = :topic AND part = :part"
_INSERT = """INSERT INTO consumer_place (name, topic, part, incarnation, next_offset, positions, turn)
  VALUES (:name, :topic, :part, :incarnation, :next_offset, :positions, :turn)"""
# One statement, so that of two transactions the second waits for the first and then finds another row.
_UPDATE = """UPDATE consumer_place
  SET incarnation = :incarnation, next_offset = :next_offset, positions = :positions, turn = :turn
  WHERE name = :name AND topic = :topic AND part = :part
  AND incarnation = :was_incarnation AND next_offset = :was_offset AND turn = :was_turn"""
_FORGET = "DELETE FROM consumer_place WHERE name = :name"


def _row_of(name: str, progress: Progress) -> dict[str, Any]:
    was = progress.follows or NOWHERE
    return {
        "name": name,
        "topic": progress.topic,
        "part": progress.partition,
        "incarnation": progress.incarnation,
        "next_offset": progress.offset,
        "positions": msgspec.json.encode(progress.positions).decode(),
        "turn": progress.turn,
        "was_incarnation": was.incarnation,
        "was_offset": was.offset,
        "was_turn": was.turn,
    }


def _progress_of(topic: str, partition: int, row: Any) -> Progress | None:
    if row is None:
        return None
    return Progress(topic, partition, row[0], row[1], _POSITIONS.decode(row[2]), row[3])


class SqliteProgress:
    """A ConsumerProgress in the table `consumer_place` of a sqlite3 connection that the caller owns.

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
        """Store it, inside the caller's transaction; raises Overtaken, and the caller must roll back."""
        row = _row_of(self._name, progress)
        if progress.follows is None:
            self._db.execute(_DELETE, row)
        elif progress.follows != NOWHERE:
            if not self._db.execute(_UPDATE, row).rowcount:
                raise Overtaken(self._name, progress)
            return
        try:
            self._db.execute(_INSERT, row)
        except sqlite3.IntegrityError:
            raise Overtaken(self._name, progress) from None

    def forget(self) -> None:
        """Start again from the beginning of every topic, as a rebuild does; inside the caller's transaction."""
        self._db.execute(_FORGET, {"name": self._name})


_metadata = MetaData()
_table = Table(
    "consumer_place",
    _metadata,
    Column("name", ByteText(200), primary_key=True),
    Column("topic", ByteText(250), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("incarnation", ByteText(64), nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("positions", document(), nullable=False),
    Column("turn", BigInteger, nullable=False),
)


class SqlProgress:
    """A ConsumerProgress in the table `consumer_place` of a SQLAlchemy database: SQLite, PostgreSQL or MySQL."""

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine, self._name = engine, name

    async def start(self) -> None:
        """Make the table when it is missing; raises Unavailable when the database does not answer."""
        await make_schema(self._engine)
        async with transaction(self._engine) as connection:
            await connection.run_sync(_metadata.create_all)

    async def load(self, topic: str, partition: int) -> Progress | None:
        c = _table.c
        asked = select(c.incarnation, c.next_offset, c.positions, c.turn).where(*self._own(topic, partition))
        rows = await fetch(self._engine, asked)
        return _progress_of(topic, partition, rows[0] if rows else None)

    async def save(self, connection: AsyncConnection, progress: Progress) -> None:
        """Store it, inside the transaction of `connection`; raises Overtaken, and the caller must roll back."""
        c, was, own = _table.c, progress.follows, self._own(progress.topic, progress.partition)
        row = _row_of(self._name, progress)
        values = {column: row[column] for column in ("name", "topic", "part", "incarnation", "next_offset", "turn")} | {
            "positions": row["positions"].encode()
        }
        if was is None:
            await connection.execute(_table.delete().where(*own))
        elif was != NOWHERE:
            # One statement, so that of two transactions the second waits for the first and then finds another row.
            still = (c.incarnation == was.incarnation, c.next_offset == was.offset, c.turn == was.turn)
            if (await connection.execute(_table.update().where(*own, *still).values(values))).rowcount != 1:
                raise Overtaken(self._name, progress)
            return
        try:
            await connection.execute(_table.insert().values(values))
        except IntegrityError:
            raise Overtaken(self._name, progress) from None

    async def forget(self, connection: AsyncConnection) -> None:
        """Start again from the beginning of every topic, as a rebuild does; inside the transaction of `connection`."""
        await connection.execute(_table.delete().where(_table.c.name == self._name))

    def _own(self, topic: str, partition: int) -> tuple[ColumnElement[bool], ...]:
        return (_table.c.name == self._name, _table.c.topic == topic, _table.c.part == partition)
