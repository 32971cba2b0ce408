"""Temporal tables: every row holds the positions from which and until which it was true.

Current rows have a partial index, so a query about now costs what it would without history; "as of" is a where clause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


async def apply(connection: AsyncConnection, change: Change, tenant: str, position: int) -> None:
    """Write one change as of `position`; applying it a second time changes nothing."""
    table = change.table.table
    key = {"tenant": tenant, **change.key}
    same = and_(*(table.c[k] == v for k, v in key.items()))
    await connection.execute(table.delete().where(same, table.c.valid_from == position))
    await connection.execute(table.update().where(same, table.c.valid_until.is_(None)).values(valid_until=position))
    if isinstance(change, Put):
        await connection.execute(
            table.insert().values(**key, **change.values, body=change.body, valid_from=position, valid_until=None)
        )
