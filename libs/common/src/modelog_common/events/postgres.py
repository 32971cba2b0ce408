"""The event store in PostgreSQL: for platforms that span machines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from modelog_common.domain.clock import Clock, SystemClock
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.checks import check_restored, check_restored_texts
from modelog_common.events.group import Answers, GroupCommit, Pending
from modelog_common.events.postgres_append import CALL, answers, arguments
from modelog_common.events.postgres_link import PostgresLink
from modelog_common.events.postgres_schema import CHANNEL, COLUMNS, CREATE, FORMAT, FROM_FORMAT_1, LOCK, SCHEMA
from modelog_common.events.postgres_watch import CommitWatch
from modelog_common.events.store import (
    Appended,
    Expected,
    ExpectedVersion,
    NewEvent,
    Payloads,
    StoredEvent,
    payloads_of,
)

PAGE = 1000
_FORMAT = f"SELECT value FROM {SCHEMA}.meta WHERE key = 'format'"
_SELECT = f"SELECT {COLUMNS} FROM {SCHEMA}.events WHERE"
_NEW_HISTORY = f"INSERT INTO {SCHEMA}.meta VALUES ('history', $1) ON CONFLICT DO NOTHING"
_RENEW = f"UPDATE {SCHEMA}.meta SET value = $1 WHERE key = 'history'"
_HISTORY = f"SELECT value FROM {SCHEMA}.meta WHERE key = 'history'"
_LAST = f"SELECT position, recorded_at FROM {SCHEMA}.events ORDER BY position DESC LIMIT 1"
_VERSIONS = f"SELECT stream, max(version) FROM {SCHEMA}.events WHERE stream = ANY ($1) GROUP BY stream"


class PostgresEventStore:
    """An EventStore in the schema `modelog_events` of a database."""

    def __init__(self, link: PostgresLink, history: str, clock: Clock) -> None:
        self.link, self.history = link, history
        self._clock = clock
        self._group = GroupCommit(self._commit)
        self._watch = CommitWatch(link)
        self._closed = False

    @classmethod
    async def open(cls, url: str, clock: Clock | None = None) -> PostgresEventStore:
        """Open or make the store; raises Unavailable when the server does not answer or a newer release wrote it."""
        link = await PostgresLink.open(url)
        try:
            history = await link.run(_prepare)
        except BaseException:
            await link.close()
            raise
        return cls(link, history, clock or SystemClock())

    async def append(
        self, stream: str, events: Sequence[NewEvent], *, expected: ExpectedVersion = Expected.ANY
    ) -> Appended:
        return await self._group.append(stream, events, expected)

    async def _commit(self, batch: list[Pending]) -> Answers:
        """One call for all: while it holds the lock it waits neither for this process nor for the disk."""
        given = arguments(batch, self._clock.now())
        try:
            answered = await self.link.run(lambda connection: connection.fetchrow(CALL, *given))
        except Unavailable as error:
            raise Unavailable(f"{error}. Whether the events were appended is not known: append them again") from error
        self._watch.note_durable(answered["before"])
        return answers(batch, answered)

    async def restore(self, events: Sequence[StoredEvent]) -> None:
        check_restored_texts(events)
        self._refuse_when_closed()
        await self.link.run(lambda connection: _restore(connection, events), again=False)

    async def renew(self) -> None:
        self.history = str(uuid7())
        await self.link.run(lambda connection: connection.execute(_RENEW, self.history))

    async def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[StoredEvent]:
        limit = until if until is not None else (1 << 63) - 1
        while True:
            page = await self._page(
                "stream = $1 AND version > $2 AND position <= $3 ORDER BY version", stream, after, limit
            )
            for found in page:
                yield found
            if len(page) < PAGE:
                return
            after = page[-1].version

    def read_payloads(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[Payloads]:
        return payloads_of(self.read_stream(stream, after=after, until=until), PAGE)

    async def read_all(
        self, *, after: int = 0, categories: Sequence[str] | None = None, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        limit = until if until is not None else await self.head()
        where, wanted = _in_categories(categories)
        while after < limit:
            page = await self._page(
                f"position > $1 AND position <= $2 {where} ORDER BY position", after, limit, *wanted
            )
            for found in page:
                yield found
            if len(page) < PAGE:
                return
            after = page[-1].position

    async def subscribe(self, *, after: int = 0, categories: Sequence[str] | None = None) -> AsyncIterator[StoredEvent]:
        while True:
            head = await self.wait_beyond(after, timeout_s=60)
            async for found in self.read_all(after=after, categories=categories, until=head):
                yield found
            after = max(after, head)

    async def head(self) -> int:
        self._refuse_when_closed()
        return await self._watch.head()

    async def wait_beyond(self, position: int, timeout_s: float) -> int:
        return await self._watch.wait_beyond(position, timeout_s)

    async def position_at(self, moment: datetime) -> int:
        query = f"SELECT {SCHEMA}.position_at($1)"
        found = int(await self.link.run(lambda connection: connection.fetchval(query, moment)))
        await self._watch.wait_until_durable(found)
        return found

    async def find(self, event_id: str) -> StoredEvent | None:
        found = await self._page("event_id = $1", event_id)
        return found[0] if found else None

    async def close(self) -> None:
        self._closed = True
        await self._group.close()
        await self._watch.close()
        await self.link.close()

    async def _page(self, where: str, *arguments: object) -> list[StoredEvent]:
        self._refuse_when_closed()
        query = f"{_SELECT} {where} LIMIT {PAGE}"
        rows = await self.link.run(lambda connection: connection.fetch(query, *arguments))
        page = [StoredEvent(*row) for row in rows]
        if page:
            await self._watch.wait_until_durable(page[-1].position)
        return page

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Unavailable("the event store is closed")


async def _prepare(connection: Any) -> str:
    """Make the tables and functions when they are missing; two processes that start at once make them once.

    Returns the log's history.
    """
    (encoding,) = await connection.fetchrow("SHOW server_encoding")
    if encoding != "UTF8":
        raise Unavailable(f"the database has the encoding {encoding}; an event store needs UTF8")
    async with connection.transaction():
        if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.meta") is None:
            await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.meta") is None:
                await connection.execute(CREATE)
        found = int(await connection.fetchval(_FORMAT) or FORMAT)
        if found == 1:
            await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            if await connection.fetchval(_FORMAT) == "1":
                await connection.execute(FROM_FORMAT_1)
    if found > FORMAT:
        raise Unavailable(
            f"the event store was written by a newer release (format {found}); this one reads up to format {FORMAT}. "
            "Nothing was changed."
        )
    await connection.execute(_NEW_HISTORY, str(uuid7()))
    return str(await connection.fetchval(_HISTORY))


async def _restore(connection: Any, events: Sequence[StoredEvent]) -> None:
    async with connection.transaction():
        # A process that stops in here must not keep everybody from appending for ever.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '30s'")
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        last = await connection.fetchrow(_LAST) or (0, None)
        versions = dict(await connection.fetch(_VERSIONS, list({e.stream for e in events})))
        check_restored(events, last[0], last[1], versions)
        ids = [e.id for e in events]
        if await connection.fetchval(f"SELECT true FROM {SCHEMA}.events WHERE event_id = ANY ($1) LIMIT 1", ids):
            raise Invalid.field("events", "an event with one of these ids is in the store already")
        rows = [
            (e.position, e.id, e.stream, e.version, e.type, e.schema, e.recorded_at,
             e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, e.payload, e.category)
            for e in events
        ]  # fmt: skip
        columns = [*COLUMNS.split(", "), "category"]
        await connection.copy_records_to_table("events", schema_name=SCHEMA, columns=columns, records=rows)
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, str(last[0] + len(events)))


def _in_categories(categories: Sequence[str] | None) -> tuple[str, tuple[object, ...]]:
    if categories is None:
        return "", ()
    if len(categories) == 1:
        return "AND category = $3", tuple(categories)
    # Joined to nothing, the column is no longer the index's, with which a page would sort all events of the categories.
    return "AND category || '' = ANY ($3)", (list(categories),)
