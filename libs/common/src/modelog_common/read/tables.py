"""Temporal tables: every row holds the positions from which and until which it was true.

What is true now has no end: `valid_until` is then FOREVER, so a unique index holds every key to one such row on every
database. "As of" is a where clause.

The log is cut into epochs, and every row belongs to one: where an epoch ends, what is still true is closed and goes on
as a row of the next. A query looks into one epoch only, so it costs about the same whether it asks about now or about
any moment before, and however long the history is (docs/decisions/0011-read-tables-have-epochs.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Dialect,
    Index,
    MetaData,
    ScalarSelect,
    Select,
    Table,
    Update,
    UpdateBase,
    and_,
    bindparam,
    func,
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from modelog_common.read.text import MYSQL, ByteText, document, row_id

FOREVER = 2**63 - 1
# An epoch ends when it has started this many times as many rows as were true at its beginning (or as EPOCH_ROWS).
EPOCH_GROWTH = 4
EPOCH_ROWS = 1000
# What the name of the index ends with by which MariaDB and MySQL page through the keys.
AS_OF = "_as_of"
# How many rows one statement ends on MariaDB and MySQL.
JOINED = 250


@dataclass(frozen=True)
class TemporalTable:
    """A table of documents: a key, columns to filter and order by, and the answer itself as serialized protobuf."""

    table: Table
    epochs: Table
    key: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.table.name

    def at(self, position: int | None) -> ColumnElement[bool]:
        """The rows that are true now (None), or were as of a position."""
        return _at(self, position)

    def by_key(self, rows: Select[Any]) -> Select[Any]:
        """A selection of rows in the order of their keys: MariaDB and MySQL are told which index holds them so."""
        return rows.with_hint(self.table, f"FORCE INDEX ({self.name}{AS_OF})", "mysql")

    def named(self, alias: str) -> TemporalTable:
        """The table under this name."""
        return _named(self, alias)


# The library takes as long to make an expression as the database to answer it: what statements have in common is kept.
@lru_cache(maxsize=256)
def _at(temporal: TemporalTable, position: int | None) -> ColumnElement[bool]:
    t = temporal.table.c
    if position is None:
        return and_(t.epoch == _epoch(temporal, FOREVER), t.valid_until == FOREVER)
    return and_(t.epoch == _epoch(temporal, position), t.valid_from <= position, t.valid_until > position)


def _epoch(temporal: TemporalTable, position: int) -> ScalarSelect[int]:
    begins = temporal.epochs.c.begins
    return select(func.max(begins)).where(begins <= position).scalar_subquery()


@lru_cache(maxsize=256)
def _named(temporal: TemporalTable, alias: str) -> TemporalTable:
    return replace(temporal, table=cast("Table", temporal.table.alias(alias)))


def temporal_table(
    metadata: MetaData,
    name: str,
    *,
    key: Sequence[str],
    columns: Sequence[Column[Any]] = (),
    orders: Sequence[Sequence[str]] = (),
) -> TemporalTable:
    """Declare a temporal table; `key` names text columns that, with the tenant, identify a row.

    Each of `orders` names columns that a page is filtered or ordered by, and gets an index.
    """
    keys = ("tenant", *key)
    table = Table(
        name,
        metadata,
        Column("row", row_id(), primary_key=True, autoincrement=True),
        Column("epoch", BigInteger, nullable=False),
        *(Column(k, ByteText(), nullable=False) for k in keys),
        *columns,
        Column("valid_from", BigInteger, nullable=False),
        Column("valid_until", BigInteger, nullable=False),
        # The last one: what is read to find a row does not lie behind its body.
        Column("body", document(), nullable=False),
    )
    epochs = Table(
        f"{name}_epochs",
        metadata,
        Column("begins", BigInteger, primary_key=True, autoincrement=False),
        Column("began_with", BigInteger, nullable=False),
        Column("started", BigInteger, nullable=False),
    )
    c = table.c
    # Nothing ends twice at one position: the index holds one row for each key, moment and epoch, and covers `at`.
    Index(f"{name}_by_key", c.epoch, *(c[k] for k in keys), c.valid_until, unique=True)
    # In MariaDB a unique index has no room for valid_from, without which every version of a row would be looked up.
    Index(f"{name}{AS_OF}", c.epoch, *(c[k] for k in keys), c.valid_until, c.valid_from).ddl_if(dialect="mysql")
    for order in orders:
        Index(f"{name}_by_{'_'.join(order)}", c.epoch, c.tenant, *(c[o] for o in order), c.valid_until, c.valid_from)
    return TemporalTable(table, epochs, keys)


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
    """Write changes, in the order of their events; none may be older than what was written before.

    Each table takes a few statements however many changes there are: a statement's way to the database costs more than
    the rows that it writes.
    """
    by_table: dict[TemporalTable, list[Dated]] = {}
    for dated in changes:
        by_table.setdefault(dated.change.table, []).append(dated)
    for table, its_changes in by_table.items():
        await _write_table(connection, table, its_changes)


async def _write_table(connection: AsyncConnection, temporal: TemporalTable, changes: Sequence[Dated]) -> None:
    statements = _statements(temporal, connection.dialect, _schema_of(connection))
    by_key: dict[tuple[Any, ...], dict[int, Change]] = {}
    for dated in changes:
        key = statements.key(dated)
        # Of two changes that one event makes to a row, the later one stays.
        by_key.setdefault(key, {})[dated.position] = dated.change
    epoch = await _epoch_of(connection, temporal)
    closed = [(min(at_positions), epoch.begins, *key, FOREVER) for key, at_positions in by_key.items()]
    for close, values in statements.closing(closed):
        await connection.exec_driver_sql(close, values)
    rows = [row for key, at_positions in by_key.items() for row in statements.rows(epoch.begins, key, at_positions)]
    if rows:
        await connection.exec_driver_sql(statements.insert, rows)
        if await _count(connection, temporal, epoch, len(rows), max(d.position for d in changes)):
            for statement in statements.afterwards:
                await connection.exec_driver_sql(statement)


class _Statements:
    """The two statements that take a row for each change, in the driver's own form.

    The library's form costs more for each row than the database does: a third of a rebuild.
    """

    def __init__(self, temporal: TemporalTable, dialect: Dialect, schema: str | None) -> None:
        table = temporal.table
        self._own = [c.name for c in table.columns if c.name not in (*temporal.key, *_TEMPORAL)]
        first, *others = temporal.key[1:]
        self._key = itemgetter(first, *others) if others else lambda key: (key[first],)
        # What a text becomes where keys are bytes.
        self._bytes = dialect.name != "sqlite"
        self._texts = {c.name for c in table.columns if isinstance(c.type, ByteText)} if self._bytes else set()
        names = ["epoch", *temporal.key, *self._own, "valid_from", "valid_until", "body"]
        where = ["epoch", *temporal.key, "valid_until"]
        same = and_(*(table.c[name] == bindparam(f"is_{name}", type_=table.c[name].type) for name in where))
        close = table.update().where(same).values(valid_until=bindparam("ends", type_=BigInteger))
        self.insert = _in_order(table.insert(), names, dialect, schema)
        self._close = _in_order(close, ["ends", *(f"is_{name}" for name in where)], dialect, schema)
        quote = dialect.identifier_preparer.quote
        self._joined = [quote(name) for name in ("ends", *where)] if dialect.name in MYSQL else []
        self._place = f"{quote(schema)}.{quote(table.name)}" if schema else quote(table.name)
        # PostgreSQL gathers statistics by itself, but a minute later: until then it may look for a row by way of an
        # index by a column, through its whole epoch.
        self.afterwards = [f"ANALYZE {self._place}"] if dialect.name == "postgresql" else []

    def key(self, dated: Dated) -> tuple[Any, ...]:
        """The tenant and the key of a change, as the database takes them."""
        key = (dated.tenant, *self._key(dated.change.key))
        return tuple([part.encode() for part in key]) if self._bytes else key

    def closing(self, closed: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """The statements that end rows, with their values.

        MariaDB's driver would go to the server once for each row: there many are ended by one statement.
        """
        if not self._joined:
            yield self._close, list(closed)
            return
        one = ", ".join(["%s"] * len(self._joined))
        named = ", ".join(f"%s AS {name}" for name in self._joined)
        same = " AND ".join(f"t.{name} = c.{name}" for name in self._joined[1:])
        for first in range(0, len(closed), JOINED):
            part = closed[first : first + JOINED]
            keys = " UNION ALL ".join([f"SELECT {named}", *[f"SELECT {one}"] * (len(part) - 1)])
            close = f"UPDATE {self._place} t JOIN ({keys}) c ON {same} SET t.valid_until = c.ends"
            yield close, [tuple(chain.from_iterable(part))]

    def rows(self, epoch: int, key: tuple[Any, ...], at_positions: Mapping[int, Change]) -> Iterator[tuple[Any, ...]]:
        """One key's rows: each is true until the next change of that key."""
        positions = sorted(at_positions)
        for position, until in zip(positions, [*positions[1:], FOREVER], strict=True):
            change = at_positions[position]
            if isinstance(change, Put):
                own = [self._value(name, change.values.get(name)) for name in self._own]
                yield (epoch, *key, *own, position, until, change.body)

    def _value(self, name: str, value: Any) -> Any:
        return value.encode() if name in self._texts and value is not None else value


_TEMPORAL = ("row", "epoch", "valid_from", "valid_until", "body")
_statements = lru_cache(maxsize=1000)(_Statements)


def _in_order(statement: UpdateBase, names: Sequence[str], dialect: Dialect, schema: str | None) -> str:
    """The text of a statement whose parameters are given in this order."""
    compiled = statement.compile(
        dialect=dialect,
        column_keys=None if isinstance(statement, Update) else list(names),
        schema_translate_map={None: schema},
        render_schema_translate=True,
    )
    order = compiled.positiontup or ()
    if list(order) != list(names):
        raise RuntimeError(f"{compiled} takes {order}, not {names}")
    return str(compiled)


def _schema_of(connection: AsyncConnection) -> str | None:
    schemas: Mapping[None, str | None] = connection.engine.get_execution_options().get("schema_translate_map", {})
    return schemas.get(None)


@dataclass(frozen=True)
class _Epoch:
    begins: int
    began_with: int
    started: int


async def _epoch_of(connection: AsyncConnection, temporal: TemporalTable) -> _Epoch:
    """The last epoch; the first one is begun."""
    epochs = temporal.epochs
    row = (await connection.execute(select(epochs).order_by(epochs.c.begins.desc()).limit(1))).one_or_none()
    if row is not None:
        return _Epoch(row.begins, row.began_with, row.started)
    await connection.execute(epochs.insert().values(begins=0, began_with=0, started=0))
    return _Epoch(0, 0, 0)


async def _count(connection: AsyncConnection, temporal: TemporalTable, epoch: _Epoch, rows: int, position: int) -> bool:
    """Count the rows that an epoch started; end it after `position`, and say so, when it has grown enough."""
    epochs, started = temporal.epochs, epoch.started + rows
    if started < EPOCH_GROWTH * max(epoch.began_with, EPOCH_ROWS):
        await connection.execute(epochs.update().where(epochs.c.begins == epoch.begins).values(started=started))
        return False
    ends, table = position + 1, temporal.table
    now = and_(table.c.epoch == epoch.begins, table.c.valid_until == FOREVER)
    own = [c for c in table.columns if c.name not in ("row", "epoch", "valid_from")]
    goes_on = select(literal(ends, BigInteger), literal(ends, BigInteger), *own).where(now)
    began = await connection.execute(
        table.insert().from_select(["epoch", "valid_from", *(c.name for c in own)], goes_on)
    )
    await connection.execute(table.update().where(now).values(valid_until=ends))
    await connection.execute(epochs.insert().values(begins=ends, began_with=began.rowcount, started=0))
    return True
