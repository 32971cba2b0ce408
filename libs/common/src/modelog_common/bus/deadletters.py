"""Messages that a consumer could never handle: kept in its service's database until they are handled after all.

The table is the truth of the list. The topic `<topic>.dead` tells others of them, and may forget.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import structlog
from sqlalchemy import Column, Integer, MetaData, RowMapping, Select, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from modelog_common.bus.broker import Broker, Outgoing
from modelog_common.bus.envelope import PREVIOUS, Poison, Received, counted
from modelog_common.bus.topics import Topic, tenant_in
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_common.read.kept import KeptTables
from modelog_common.read.text import ByteText, document

REASON = "dead_reason"
CONSUMER = "dead_consumer"
TOPIC = "dead_topic"
PARTITION = "dead_partition"
OFFSET = "dead_offset"
LONGEST_REASON = 4096
REPLAY_S = 10.0
LOOK_EVERY_S = 0.1
log = structlog.get_logger()
_HEADERS = msgspec.json.Decoder(dict[str, bytes])
METADATA = MetaData()
_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("id", ByteText(100), primary_key=True),
    Column("tenant", ByteText(), nullable=False, index=True),
    Column("consumer", ByteText(200), nullable=False),
    Column("topic", ByteText(), nullable=False),
    Column("incarnation", ByteText(64), nullable=False),
    Column("partition_no", Integer, nullable=False),
    Column("offset_no", Integer, nullable=False),
    Column("message_key", document(), nullable=False),
    Column("message_value", document(), nullable=False),
    Column("headers", document(), nullable=False),
    Column("reason", document(), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("buried_at", String(40), nullable=False),
    Column("changed_at", String(40), nullable=False),
)


class State(StrEnum):
    """What became of a dead letter."""

    DEAD = "dead"
    ASKED = "asked"
    REPLAYED = "replayed"


@dataclass(frozen=True)
class DeadLetter:
    """A message, the consumer that refused it and why; `attempts` counts the refusals."""

    id: str
    tenant: str
    consumer: str
    incarnation: str
    message: Received
    reason: str
    attempts: int
    state: State
    buried_at: str
    changed_at: str


class DeadLetters:
    """The dead letters of one service, whose name begins their ids."""

    def __init__(self, engine: AsyncEngine, clock: Clock, service: str) -> None:
        # A dead letter that is lost may be the only copy of its message.
        self._tables = KeptTables(engine, METADATA)
        self._clock, self._service = clock, service

    async def close(self) -> None:
        """Close the database."""
        await self._tables.close()

    async def keep(self, consumer: str, incarnation: str, poison: Poison) -> DeadLetter:
        """Keep a message that was refused; one that was to be replayed, or was, returns to the list."""
        message, now, reason = poison.message, self._now(), poison.reason[:LONGEST_REASON].encode()
        letter_id = f"{self._service}-{id_of(consumer, incarnation, message)}"
        letter = {
            "id": letter_id,
            "tenant": tenant_in(message.topic),
            "consumer": consumer,
            "topic": message.topic,
            "incarnation": incarnation,
            "partition_no": message.partition,
            "offset_no": message.offset,
            "message_key": message.key,
            "message_value": message.value,
            "headers": msgspec.json.encode(dict(message.headers)),
            "reason": reason,
            "attempts": 1,
            "state": State.DEAD,
            "buried_at": now,
            "changed_at": now,
        }
        again = (
            update(_LETTERS)
            .where(_LETTERS.c.id == letter_id, _LETTERS.c.state != State.DEAD)
            .values(
                state=State.DEAD,
                attempts=_LETTERS.c.attempts + 1,
                reason=reason,
                changed_at=now,
            )
        )
        async with self._tables.writing() as connection:
            known = (await connection.execute(select(_LETTERS.c.id).where(_LETTERS.c.id == letter_id))).first()
            await connection.execute(again if known else insert(_LETTERS).values(letter))
        return await self.get(letter_id)

    async def get(self, letter_id: str, tenant: str | None = None) -> DeadLetter:
        """One dead letter; raises NotFound, also when it is another tenant's."""
        found = next(iter(await self._rows(select(_LETTERS).where(_LETTERS.c.id == letter_id))), None)
        if found is None or tenant not in (None, found["tenant"]):
            raise NotFound(f"there is no dead letter {letter_id!r}; `modelog events dead list` names them")
        return _letter(found)

    async def list(self, tenant: str, limit: int, *, replayed: bool = False) -> Sequence[DeadLetter]:
        """A tenant's dead letters, oldest first; those that were replayed only when asked for."""
        asked = select(_LETTERS).where(_LETTERS.c.tenant == tenant).order_by(_LETTERS.c.buried_at, _LETTERS.c.id)
        if not replayed:
            asked = asked.where(_LETTERS.c.state != State.REPLAYED)
        return [_letter(row) for row in await self._rows(asked.limit(limit))]

    async def replay(self, letter_id: str, tenant: str, timeout_s: float = REPLAY_S) -> DeadLetter:
        """Ask the consumer to take it again, and wait for what comes of it.

        It is still "asked" in the answer when the consumer does not come to it in time. Raises NotFound, and NotAllowed
        when it was replayed before.
        """
        letter = await self.get(letter_id, tenant)
        if letter.state is State.REPLAYED:
            raise NotAllowed(f"the dead letter {letter_id} was replayed at {letter.changed_at}; that is done once")
        await self._change(letter_id, State.DEAD, State.ASKED)
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (letter := await self.get(letter_id)).state is State.ASKED:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return letter

    async def asked(self, consumer: str) -> Sequence[DeadLetter]:
        """What a consumer is to take again."""
        asked = select(_LETTERS).where(_LETTERS.c.state == State.ASKED, _LETTERS.c.consumer == consumer)
        return [_letter(row) for row in await self._rows(asked.order_by(_LETTERS.c.buried_at, _LETTERS.c.id))]

    async def handled(self, letter_id: str) -> None:
        """It was handled after all."""
        await self._change(letter_id, State.ASKED, State.REPLAYED)

    async def _rows(self, statement: Select[Any]) -> Sequence[RowMapping]:
        return [row._mapping for row in await self._tables.fetch(statement)]

    async def _change(self, letter_id: str, before: State, after: State) -> None:
        change = (
            update(_LETTERS)
            .where(_LETTERS.c.id == letter_id, _LETTERS.c.state == before)
            .values(state=after, changed_at=self._now())
        )
        async with self._tables.writing() as connection:
            await connection.execute(change)

    def _now(self) -> str:
        now: datetime = self._clock.now()
        return now.isoformat()


def id_of(consumer: str, incarnation: str, message: Received) -> str:
    """The same for the same message and consumer, however often it comes."""
    place = (
        (message.source, message.position)
        if message.position
        else (incarnation, str(message.partition), message.offset)
    )
    text = "\n".join((consumer, message.topic, *(str(p) for p in place)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _letter(row: RowMapping) -> DeadLetter:
    headers = _HEADERS.decode(row["headers"])
    plain = Received(
        row["topic"],
        row["partition_no"],
        row["offset_no"],
        bytes(row["message_key"]),
        bytes(row["message_value"]),
        headers,
    )
    read = counted(plain)
    return DeadLetter(
        id=row["id"],
        tenant=row["tenant"],
        consumer=row["consumer"],
        incarnation=row["incarnation"],
        message=plain if isinstance(read, Poison) else read,
        reason=bytes(row["reason"]).decode(),
        attempts=row["attempts"],
        state=State(row["state"]),
        buried_at=row["buried_at"],
        changed_at=row["changed_at"],
    )


async def announce(broker: Broker, letter: DeadLetter) -> None:
    """Tell of it in `<topic>.dead`, perhaps twice; raises Unavailable when the broker does not take it."""
    message = letter.message
    topic = Topic(message.topic).dead
    await broker.open(topic)
    headers: Mapping[str, str] = {
        **{name: message.text(name) for name in message.headers if name != PREVIOUS},
        REASON: letter.reason,
        CONSUMER: letter.consumer,
        TOPIC: message.topic,
        PARTITION: str(message.partition),
        OFFSET: str(message.offset),
    }
    # Dead letters are rare, so each gets a sender: there is none that could hang on a broker that was replaced.
    sender = broker.sender()
    try:
        await sender.send([Outgoing(topic.name, message.key, message.value, headers)], _nothing)
    finally:
        await sender.close()
    log.error("dead letter", id=letter.id, topic=message.topic, consumer=letter.consumer, why=letter.reason)


async def _nothing() -> None:
    """Nobody waits for anything else meanwhile."""
