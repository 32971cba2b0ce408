"""Queries over temporal tables: one row, or a page of rows, as of a moment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from modelog_common.domain.errors import Invalid
from modelog_common.events.store import EventStore
from modelog_common.read.project import Projector
from modelog_common.read.tables import TemporalTable

Message = TypeVar("Message", bound="Parsed")
DEFAULT_PAGE = 100
LAST_POSITION = 2**63 - 1


class Parsed(Protocol):
    """What a row's body is read into: a protobuf message."""

    @classmethod
    def FromString(cls, s: bytes) -> Parsed: ...  # noqa: N802 - protobuf's own name


class ReadOptions(Protocol):
    """modelog.common.v1.ReadOptions."""

    as_of: str
    at_least: int


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

    def __init__(self, store: EventStore, engine: AsyncEngine, projector: Projector) -> None:
        self._store, self._engine, self._projector = store, engine, projector

    async def moment(self, read: ReadOptions) -> int | None:
        """The position to look at, None for now; waits until the tables cover what the caller asks for.

        Raises Invalid, naming read.as_of or read.at_least, for a position that the log has not reached.
        """
        as_of = await self._as_of(read.as_of)
        wanted = max(as_of or 0, read.at_least)
        if wanted > self._projector.position:
            head = await self._store.head()
            if wanted > head:
                field = "read.as_of" if as_of == wanted else "read.at_least"
                raise Invalid.field(field, f"position {wanted} is in the future; the log's last position is {head}")
            await self._projector.wait_for(wanted)
        return as_of

    async def _as_of(self, text: str) -> int | None:
        if not text:
            return None
        if text.isdigit():
            return int(text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid.field("read.as_of", f"{text!r} is neither a position nor an RFC 3339 time") from None
        if moment.tzinfo is None:
            raise Invalid.field("read.as_of", f"{text!r} lacks a time zone; end it with Z or an offset such as +02:00")
        try:
            return await self._store.position_at(moment.astimezone(UTC))
        except OverflowError:
            raise Invalid.field("read.as_of", f"{text!r} lies outside the years 1 to 9999 in UTC") from None

    async def one(
        self, table: TemporalTable, message: type[Message], read: ReadOptions, tenant: str, **key: str
    ) -> Message | None:
        """The row with this key, or None."""
        at = await self.moment(read)
        t = table.table
        where = and_(t.c.tenant == tenant, table.at(at), *(t.c[k] == v for k, v in key.items()))
        async with self._engine.connect() as connection:
            body = (await connection.execute(select(t.c.body).where(where))).scalar_one_or_none()
        return None if body is None else message.FromString(body)  # type: ignore[return-value]

    async def page(
        self,
        table: TemporalTable,
        message: type[Message],
        read: ReadOptions,
        tenant: str,
        page: Page,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        order_by: Sequence[ColumnElement[Any]] = (),
    ) -> Found[Message]:
        """Rows that match, in order. The token holds the moment: a later page sees the same world."""
        offset, at = _position_of(page.token)
        if at is None:
            at = await self.moment(read)
        size = page.size or DEFAULT_PAGE
        t = table.table
        statement = (
            select(t.c.body)
            .where(t.c.tenant == tenant, table.at(at), *where)
            .order_by(*order_by, *(t.c[k] for k in table.key))
            .limit(size + 1)
            .offset(offset)
        )
        async with self._engine.connect() as connection:
            bodies = (await connection.execute(statement)).scalars().all()
        seen = self._projector.position if at is None else at
        token = _token(offset + size, seen) if len(bodies) > size else ""
        return Found([message.FromString(b) for b in bodies[:size]], token)  # type: ignore[misc]


def _token(offset: int, position: int) -> str:
    return base64.urlsafe_b64encode(f"{offset}:{position}".encode()).decode()


def _position_of(token: str) -> tuple[int, int | None]:
    if not token:
        return 0, None
    try:
        offset, position = (int(part) for part in base64.urlsafe_b64decode(token).decode().split(":"))
        if min(offset, position) < 0 or max(offset, position) > LAST_POSITION:
            raise ValueError(token)
        return offset, position
    except (binascii.Error, ValueError):
        raise Invalid.field("page.token", "is not a token that an earlier answer gave") from None
