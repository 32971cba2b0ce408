"""The ledger of deliveries: what is to be sent, what came of every attempt, and up to where the log was followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelog_common.domain.errors import NotFound
from modelog_common.outbound.post import Posted
from modelog_common.read.database import advance, load_progress, metadata, save_progress
from modelog_common.read.kept import KeptTables
from modelog_common.read.text import ByteText, document
from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, RowMapping, Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

FOLLOWER = "registry.webhooks"
SHOWN_ATTEMPTS = 100
# As many as one statement names.
AT_ONCE = 500
METADATA = MetaData()
_DELIVERIES = Table(
    "webhook_deliveries",
    METADATA,
    Column("id", ByteText(40), primary_key=True),
    Column("tenant", ByteText(), nullable=False),
    Column("webhook_id", ByteText(40), nullable=False),
    Column("kind", ByteText(60), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("body", document(), nullable=False),
    Column("state", ByteText(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    # Since it was made or replayed.
    Column("failures", Integer, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("outcome", document(), nullable=False),
)
Index("webhook_deliveries_due", _DELIVERIES.c.state, _DELIVERIES.c.webhook_id, _DELIVERIES.c.due_ms)
Index("webhook_deliveries_listed", _DELIVERIES.c.tenant, _DELIVERIES.c.position)
_ATTEMPTS = Table(
    "webhook_attempts",
    METADATA,
    Column("delivery_id", ByteText(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("answer", document(), nullable=False),
    Column("error", document(), nullable=False),
)


class State(StrEnum):
    """What became of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one webhook."""

    id: str
    tenant: str
    webhook_id: str
    kind: str
    position: int
    body: bytes
    state: State = State.WAITING
    attempts: int = 0
    failures: int = 0
    due_ms: int = 0
    created_ms: int = 0
    changed_ms: int = 0
    outcome: str = ""


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt."""

    number: int
    at_ms: int
    posted: Posted


class Ledger:
    """Tables of their own beside the read tables: these are no projection, and are kept when those are built again."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._tables = KeptTables(engine, metadata, METADATA)

    async def close(self) -> None:
        await self._tables.close()

    async def position(self, history: str, head: int) -> int:
        """Up to where this log was followed; one that never was is followed from its end, `head`.

        A log that was restored, with this ledger or an older or newer one, is gone on with where the ledger ends.
        """
        async with self._tables.writing() as connection:
            known = await load_progress(connection, FOLLOWER)
            if known is not None and known[0] == history:
                return known[1]
            start = head if known is None else min(known[1], head)
            await save_progress(connection, FOLLOWER, history, start)
            return start

    async def follow(
        self,
        history: str,
        start: int,
        end: int,
        made: Sequence[Delivery],
        again: Sequence[Delivery],
        ended: Iterable[str],
        now_ms: int,
    ) -> bool:
        """Take the follower from one position to another with all that came of it; False when another was faster.

        Of `made`, what is there already stays as it is; `again` is sent again too. What waits for the webhooks that
        `ended` is dead.
        """
        async with self._tables.writing() as connection:
            if not await advance(connection, FOLLOWER, history, start, end):
                return False
            for n in range(0, len(made), AT_ONCE):
                await _insert_new(connection, made[n : n + AT_ONCE])
            for n in range(0, len(again), AT_ONCE):
                part = again[n : n + AT_ONCE]
                known = await _insert_new(connection, part)
                await connection.execute(_revived(now_ms).where(_DELIVERIES.c.id.in_(known)))
            for webhook_id in ended:
                await connection.execute(_buried(webhook_id, now_ms))
        return True

    async def waiting(self) -> Sequence[tuple[str, int]]:
        """Every webhook that something waits for, and when the first of it is due."""
        t = _DELIVERIES.c
        statement = select(t.webhook_id, func.min(t.due_ms)).where(t.state == State.WAITING).group_by(t.webhook_id)
        return [(row[0], row[1]) for row in await self._tables.fetch(statement)]

    async def due(self, webhook_id: str, now_ms: int, limit: int) -> Sequence[Delivery]:
        """What is to be tried now, in order of the log."""
        t = _DELIVERIES.c
        statement = (
            select(_DELIVERIES)
            .where(t.state == State.WAITING, t.webhook_id == webhook_id, t.due_ms <= now_ms)
            .order_by(t.position, t.id)
            .limit(limit)
        )
        return [_delivery(row._mapping) for row in await self._tables.fetch(statement)]

    async def tried(self, before: Delivery, posted: Posted, state: State, due_ms: int, now_ms: int) -> None:
        """Write down an attempt; one that another process has written down meanwhile stands."""
        number = before.attempts + 1
        outcome = posted.error or ("" if posted.taken else f"answered {posted.status}: {posted.answer[:200]}")
        changed = (
            update(_DELIVERIES)
            .where(_DELIVERIES.c.id == before.id, _DELIVERIES.c.attempts == before.attempts)
            .values(
                attempts=number,
                failures=0 if posted.taken else before.failures + 1,
                state=state,
                due_ms=due_ms,
                changed_ms=now_ms,
                outcome=outcome.encode(),
            )
        )
        attempt = {
            "delivery_id": before.id,
            "number": number,
            "at_ms": now_ms,
            "status": posted.status,
            "latency_ms": posted.latency_ms,
            "answer": posted.answer.encode(),
            "error": posted.error.encode(),
        }
        async with self._tables.writing() as connection:
            if (await connection.execute(changed)).rowcount:
                await connection.execute(_ATTEMPTS.insert().values(attempt))

    async def get(self, delivery_id: str, tenant: str) -> tuple[Delivery, Sequence[Attempt]]:
        """One delivery with its last attempts, oldest first; raises NotFound, also for another tenant's."""
        d, a = _DELIVERIES.c, _ATTEMPTS.c
        rows = await self._tables.fetch(select(_DELIVERIES).where(d.id == delivery_id, d.tenant == tenant))
        if not rows:
            raise NotFound(f"there is no delivery {delivery_id!r}; `modelog webhook deliveries` names them")
        tried = select(_ATTEMPTS).where(a.delivery_id == delivery_id).order_by(a.number.desc()).limit(SHOWN_ATTEMPTS)
        attempts = [_attempt(row._mapping) for row in await self._tables.fetch(tried)]
        return _delivery(rows[0]._mapping), attempts[::-1]

    async def list(
        self, tenant: str, webhook_id: str, state: State | None, offset: int, limit: int, until: int | None
    ) -> Sequence[Delivery]:
        """A tenant's deliveries of events up to a position, newest first."""
        t = _DELIVERIES.c
        statement = select(_DELIVERIES).where(t.tenant == tenant).order_by(t.position.desc(), t.id)
        if until is not None:
            statement = statement.where(t.position <= until)
        if webhook_id:
            statement = statement.where(t.webhook_id == webhook_id)
        if state is not None:
            statement = statement.where(t.state == state)
        return [_delivery(row._mapping) for row in await self._tables.fetch(statement.offset(offset).limit(limit))]

    async def revive(self, delivery_id: str, now_ms: int) -> None:
        """It is to be sent now, whatever became of it."""
        async with self._tables.writing() as connection:
            await connection.execute(_revived(now_ms).where(_DELIVERIES.c.id == delivery_id))

    async def bury(self, webhook_id: str, now_ms: int) -> None:
        """Nothing is sent to this webhook any more."""
        async with self._tables.writing() as connection:
            await connection.execute(_buried(webhook_id, now_ms))

    async def forget_delivered(self, before_ms: int) -> None:
        """Leave out what was delivered before a time."""
        t = _DELIVERIES.c
        old = (t.state == State.DELIVERED, t.changed_ms < before_ms)
        async with self._tables.writing() as connection:
            await connection.execute(_ATTEMPTS.delete().where(_ATTEMPTS.c.delivery_id.in_(select(t.id).where(*old))))
            await connection.execute(_DELIVERIES.delete().where(*old))


async def _insert_new(connection: AsyncConnection, deliveries: Sequence[Delivery]) -> list[str]:
    """The ids of those that were there already."""
    ids = [delivery.id for delivery in deliveries]
    rows = (await connection.execute(select(_DELIVERIES.c.id).where(_DELIVERIES.c.id.in_(ids)))).all()
    known = {row[0] for row in rows}
    new = [_row(delivery) for delivery in deliveries if delivery.id not in known]
    if new:
        await connection.execute(_DELIVERIES.insert(), new)
    return list(known)


def _revived(now_ms: int) -> Any:
    return update(_DELIVERIES).values(state=State.WAITING, failures=0, due_ms=now_ms, changed_ms=now_ms)


def _buried(webhook_id: str, now_ms: int) -> Any:
    return (
        update(_DELIVERIES)
        .where(_DELIVERIES.c.webhook_id == webhook_id, _DELIVERIES.c.state == State.WAITING)
        .values(state=State.DEAD, changed_ms=now_ms, outcome=b"the webhook was deleted")
    )


def _row(delivery: Delivery) -> dict[str, Any]:
    fields = {column.name: getattr(delivery, column.name) for column in _DELIVERIES.columns}
    return fields | {"outcome": delivery.outcome.encode()}


def _delivery(row: RowMapping) -> Delivery:
    fields = dict(row)
    state, outcome = State(fields.pop("state")), bytes(fields.pop("outcome")).decode()
    return Delivery(**fields | {"body": bytes(fields["body"])}, state=state, outcome=outcome)


def _attempt(row: RowMapping) -> Attempt:
    posted = Posted(row["status"], bytes(row["answer"]).decode(), row["latency_ms"], bytes(row["error"]).decode())
    return Attempt(row["number"], row["at_ms"], posted)
