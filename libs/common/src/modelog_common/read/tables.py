"""Temporal tables: every row holds the positions from which and until which it was true.

Current rows have a partial index, so a query about now costs what it would without history; "as of" is a where clause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    or_,
)
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class TemporalTable:
    """A table of documents: a key, columns to filter and order by, and the answer itself as serialized protobuf."""

    table: Table
    key: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.table.name

    def at(self, position: int | None) -> ColumnElement[bool]:
        """The rows that are true now (None), or were as of a position."""
        t = self.table.c
        if position is None:
            return t.valid_until.is_(None)
        return and_(t.valid_from <= position, or_(t.valid_until.is_(None), t.valid_until > position))


def temporal_table(
    metadata: MetaData, name: str, *, key: Sequence[str], columns: Sequence[Column[Any]] = ()
) -> TemporalTable:
    """Declare a temporal table; `key` names text columns that, with the tenant, identify a row."""
    keys = ("tenant", *key)
    table = Table(
        name,
        metadata,
        Column("row", Integer, primary_key=True, autoincrement=True),
        *(Column(k, String(500), nullable=False) for k in keys),
        *columns,
        Column("body", LargeBinary, nullable=False),
        Column("valid_from", BigInteger, nullable=False),
        Column("valid_until", BigInteger, nullable=True),
    )
    current = table.c.valid_until.is_(None)
    Index(
        f"{name}_current",
        *(table.c[k] for k in keys),
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )
    Index(f"{name}_history", *(table.c[k] for k in keys), table.c.valid_from)
    return TemporalTable(table, keys)


@dataclass(frozen=True)
class Put:
    """From this event on, the row with this key is this."""

    table: TemporalTable
    key: Mapping[str, str]
    body: bytes
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Remove:
    """From this event on, there is no row with this key."""

    table: TemporalTable
    key: Mapping[str, str]


Change = Put | Remove


@dataclass(frozen=True)
class Dated:
    """A change, whose it is, and the position of the event that made it."""

    change: Change
    tenant: str
    position: int


async def write(connection: AsyncConnection, changes: Sequence[Dated]) -> None:
    """Write changes, in the order of their events; writing the same ones a second time changes nothing.

    Each table takes three statements however many changes there are: a statement's way to the database costs more
    than the rows that it writes.
    """
    by_table: dict[TemporalTable, list[Dated]] = {}
    for dated in changes:
        by_table.setdefault(dated.change.table, []).append(dated)
    for table, its_changes in by_table.items():
        await _write_table(connection, table, its_changes)


async def _write_table(connection: AsyncConnection, temporal: TemporalTable, changes: Sequence[Dated]) -> None:
    by_key: dict[tuple[str, ...], dict[int, Dated]] = {}
    for dated in changes:
        key = {"tenant": dated.tenant, **dated.change.key}
        # Of two changes that one event makes to a row, the later one stays.
        by_key.setdefault(tuple(key[k] for k in temporal.key), {})[dated.position] = dated
    table = temporal.table
    same = and_(*(table.c[k] == bindparam(f"key_{k}") for k in temporal.key))
    first = bindparam("first", type_=BigInteger)
    touched = [
        {**{f"key_{k}": part for k, part in zip(temporal.key, key, strict=True)}, "first": min(at_positions)}
        for key, at_positions in by_key.items()
    ]
    await connection.execute(table.delete().where(same, table.c.valid_from >= first), touched)
    closed = table.update().where(same, table.c.valid_until.is_(None)).values(valid_until=first)
    await connection.execute(closed, touched)
    rows = [row for at_positions in by_key.values() for row in _rows(temporal, at_positions)]
    if rows:
        await connection.execute(table.insert(), rows)


def _rows(temporal: TemporalTable, at_positions: Mapping[int, Dated]) -> Iterator[dict[str, Any]]:
    """One key's rows: each is true until the next change of that key."""
    columns = dict.fromkeys(c.name for c in temporal.table.columns if c.name != "row")
    positions = sorted(at_positions)
    for position, until in zip(positions, [*positions[1:], None], strict=True):
        dated = at_positions[position]
        change = dated.change
        if isinstance(change, Put):
            own = {"tenant": dated.tenant, **change.key, **change.values, "body": change.body}
            yield {**columns, **own, "valid_from": position, "valid_until": until}
