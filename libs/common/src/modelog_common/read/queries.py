"""Queries over temporal tables: one row, or a page of rows, as of a moment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Column, ColumnElement, Executable, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import EventStore
from modelog_common.read.database import fetch, progress
from modelog_common.read.moment import ReadOptions, as_of_time, moment_of
from modelog_common.read.project import Projector
from modelog_common.read.reach import reach_of
from modelog_common.read.tables import TemporalTable
from modelog_common.read.text import MYSQL

Message = TypeVar("Message", bound="Parsed")
# What rows must be: conditions, or, where they look into other tables as of the same position, what gives them for it.
Where = Sequence[ColumnElement[bool]] | Callable[[int | None], Sequence[ColumnElement[bool]]]
# (position, offset, limit) -> ids in order.
# (table, tenant) -> what rows must be besides, for the caller to see them.
Seen = Callable[[TemporalTable, str], Awaitable[Sequence[ColumnElement[bool]]]]
IdsAt = Callable[[int, int, int], Awaitable[Sequence[str]]]
DEFAULT_PAGE = 100
LAST_POSITION = 2**63 - 1


class Parsed(Protocol):
    """What a row's body is read into: a protobuf message."""

    @classmethod
    def FromString(cls, s: bytes) -> Parsed: ...  # noqa: N802 - protobuf's own name


class AsStored(bytes):
    """A row's body as it is: for who hands it on."""

    @classmethod
    def FromString(cls, s: bytes) -> AsStored:  # noqa: N802 - as protobuf's messages have it
        return cls(s)


class Page(Protocol):
    """modelog.common.v1.Page."""

    size: int
    token: str


class Found(Generic[Message]):
    """One page of answers, and the token of the next page or an empty text."""

    def __init__(self, items: list[Message], next_page_token: str) -> None:
        self.items, self.next_page_token = items, next_page_token


class Queries:
    """Reads the tables that a projector fills."""

    def __init__(self, store: EventStore, engine: AsyncEngine, projector: Projector, seen: Seen | None = None) -> None:
        self._store, self._engine, self._projector, self._seen = store, engine, projector, seen

    @property
    def dialect(self) -> str:
        """The kind of database, such as "sqlite": patterns of text are not the same on all."""
        return self._engine.dialect.name

    @property
    def reached(self) -> int:
        """The position that the tables cover."""
        return self._projector.position

    async def moment(self, read: ReadOptions) -> int | None:
        """The position to look at, None for now; waits until the tables cover what the caller asks for."""
        at = await moment_of(read, self._store, self._projector)
        if at is None:
            await self._projector.wait_until_whole()
        return at

    async def position(self, read: ReadOptions) -> int:
        """The position to look at, for several statements that are to see one world."""
        at = await self.moment(read)
        return self._projector.position if at is None else at

    async def moment_ends(self, read: ReadOptions) -> datetime | None:
        """The last time that `read.as_of` covers, None for now: for what has a time and no position in the log."""
        return await as_of_time(read.as_of, self._store)

    async def rows_of(self, table: TemporalTable, tenant: str, at: int | None) -> list[ColumnElement[bool]]:
        """The rows of a tenant, now or as of a position, that the caller may see: every query is about these."""
        return [*_rows(table, tenant, at), *await self._allowed(table, tenant)]

    async def _allowed(self, table: TemporalTable, tenant: str) -> Sequence[ColumnElement[bool]]:
        return await self._seen(table, tenant) if self._seen is not None else ()

    async def one(
        self, table: TemporalTable, message: type[Message], read: ReadOptions, tenant: str, **key: str
    ) -> Message | None:
        """The row with this key, or None."""
        at = await self.moment(read)
        t = table.table
        where = and_(*await self.rows_of(table, tenant, at), *(t.c[k] == v for k, v in key.items()))
        found = await fetch(self._engine, select(t.c.body).where(where).order_by(t.c.valid_until).limit(1))
        return message.FromString(found[0].body) if found else None  # type: ignore[return-value]

    async def page(
        self,
        table: TemporalTable,
        message: type[Message],
        read: ReadOptions,
        tenant: str,
        page: Page,
        *,
        where: Where = (),
        order_by: Sequence[ColumnElement[Any]] = (),
    ) -> Found[Message]:
        """Rows that match, in order. The token holds the moment: a later page sees the same world."""
        offset, at = place_of(page.token)
        reach = reach_of(order_by) if order_by and self.dialect in MYSQL else None
        if at is None:
            at = await (self.position(read) if reach else self.moment(read))
        size = page.size or DEFAULT_PAGE
        more = [*await self._allowed(table, tenant), *(where(at) if callable(where) else where)]
        if reach is not None:
            last = await fetch(self._engine, reach.asked([*_rows(table, tenant, at), *more], offset + size))
            more += [reach.within(row[0]) for row in last]
        # What is ordered by columns as they are is asked again and again, and takes long to make.
        made = _kept_page if all(isinstance(one, Column) for one in order_by) else _page
        statement = made(table, tenant, at, tuple(order_by), size, offset, self._projector.name)
        if more:
            statement = statement.where(*more)
        if not (where or order_by):
            statement = table.by_key(statement)
        rows = await fetch(self._engine, statement)
        token = ""
        if len(rows) > size:
            token = page_token(offset + size, rows[0].reached if at is None else at)
        return Found([message.FromString(row.body) for row in rows[:size]], token)  # type: ignore[misc]

    async def search(
        self,
        table: TemporalTable,
        message: type[Message],
        read: ReadOptions,
        tenant: str,
        page: Page,
        ids_at: IdsAt,
    ) -> Found[Message]:
        """Rows by the ids that `ids_at` finds as of a position, after `offset` others and at most `limit`.

        For what is found in other tables than the one that holds the answers, whose key is one id.
        """
        offset, at = place_of(page.token)
        if at is None:
            at = await self.position(read)
        size = page.size or DEFAULT_PAGE
        ids = await ids_at(at, offset, size + 1)
        bodies = await self._by_id(table, tenant, at, ids[:size])
        token = page_token(offset + size, at) if len(ids) > size else ""
        return Found([message.FromString(bodies[i]) for i in ids[:size] if i in bodies], token)  # type: ignore[misc]

    async def _by_id(self, table: TemporalTable, tenant: str, at: int, ids: Sequence[str]) -> dict[str, bytes]:
        t, key = table.table, table.table.c[table.key[1]]
        statement = select(key, t.c.body).where(*await self.rows_of(table, tenant, at), key.in_(ids))
        return {row[0]: row.body for row in await fetch(self._engine, statement)}

    async def fetch(self, statement: Executable) -> Sequence[Any]:
        """The rows of a statement over these tables."""
        return await fetch(self._engine, statement)


def _rows(table: TemporalTable, tenant: str, at: int | None) -> list[ColumnElement[bool]]:
    return [table.table.c.tenant == tenant, table.at(at)]


def _page(
    table: TemporalTable,
    tenant: str,
    at: int | None,
    order_by: Sequence[ColumnElement[Any]],
    size: int,
    offset: int,
    projector: str,
) -> Select[Any]:
    """The bodies of a page, and one more. Of now with the position of the tables that the statement sees: only that
    makes this page and later ones one world."""
    t = table.table
    reached = select(progress.c.position).where(progress.c.name == projector).scalar_subquery().label("reached")
    return (
        select(t.c.body, *([] if at is not None else [reached]))
        .where(*_rows(table, tenant, at))
        .order_by(*order_by, *(t.c[k] for k in table.key))
        .limit(size + 1)
        .offset(offset)
    )


_kept_page = lru_cache(maxsize=256)(_page)


def page_token(offset: int, position: int) -> str:
    """Where a list goes on: after so many items, in the world of a position."""
    return base64.urlsafe_b64encode(f"{offset}:{position}".encode()).decode()


def place_of(token: str) -> tuple[int, int | None]:
    """What a token tells; nothing passed and no position without one. Raises Invalid."""
    if not token:
        return 0, None
    try:
        offset, position = (int(part) for part in base64.urlsafe_b64decode(token).decode().split(":"))
        if min(offset, position) < 0 or max(offset, position) > LAST_POSITION:
            raise ValueError(token)
        return offset, position
    except (binascii.Error, ValueError):
        raise Invalid.field("page.token", "is not a token that an earlier answer gave") from None
