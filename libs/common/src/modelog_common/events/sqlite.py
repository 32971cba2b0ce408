"""The event store in one SQLite file: the embedded default, shared by the processes of one machine.

Positions are assigned as max + 1 inside an immediate transaction, so their order is the order of commits. Appends that
arrive while a commit is under way share the next one. WAL with synchronous=FULL: what was acknowledged survives a
power failure.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from modelog_common.domain.clock import Clock, SystemClock
from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.checks import check_restored_texts
from modelog_common.events.group import Answers, GroupCommit, Pending
from modelog_common.events.sqlite_file import COLUMNS, Writer, connect, prepare, text_of, unavailable
from modelog_common.events.store import Appended, Expected, ExpectedVersion, NewEvent, Payloads, StoredEvent
from modelog_common.events.worker import Worker

PAGE = 1000
POLL_S = 0.01
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_STREAM = "FROM events WHERE stream = ? AND version > ? AND position <= ? ORDER BY version LIMIT ?"
_PAYLOADS = f"SELECT type, schema, payload {_OF_STREAM}"
_LAST_OF_THESE = f"SELECT version, position, event_id {_OF_STREAM} OFFSET ?"
_HEAD = "SELECT coalesce(max(position), 0) FROM events"
T = TypeVar("T")


class SqliteEventStore:
    """An EventStore in the file `path`."""

    def __init__(self, path: Path, history: str, clock: Clock) -> None:
        self.path, self.history = path, history
        self._writer_thread, self._reader_thread = Worker("event-writer"), Worker("event-reader")
        self._writer = Writer(path, clock)
        self._read, self._watch = connect(path), connect(path)
        self._group = GroupCommit(self._commit)
        self._closed = False
        self._committed = asyncio.Event()
        self._waiting = 0
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path, clock: Clock | None = None) -> SqliteEventStore:
        """Open or make the store; raises Unavailable when the file is no store, or was written by a newer release."""
        history = await asyncio.to_thread(prepare, path)
        try:
            return cls(path, history, clock or SystemClock())
        except sqlite3.Error as error:
            raise unavailable(path, error) from error

    async def append(
        self, stream: str, events: Sequence[NewEvent], *, expected: ExpectedVersion = Expected.ANY
    ) -> Appended:
        return await self._group.append(stream, events, expected)

    def _commit(self, batch: list[Pending]) -> asyncio.Future[Answers]:
        committed = self._writer_thread.run(partial(self._writer.commit, batch))
        committed.add_done_callback(lambda _: self._wake())
        return committed

    async def restore(self, events: Sequence[StoredEvent]) -> None:
        check_restored_texts(events)
        if self._closed:
            raise Unavailable("the event store is closed")
        await self._writer_thread.run(partial(self._writer.restore, events))
        self._wake()

    async def renew(self) -> None:
        self.history = str(uuid7())
        await self._writer_thread.run(partial(self._writer.renew, self.history))

    def _wake(self) -> None:
        if self._waiting:
            self._committed.set()
            self._committed = asyncio.Event()

    async def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[StoredEvent]:
        limit = until if until is not None else 1 << 62
        while True:
            page = await self._query(
                "stream = ? AND version > ? AND position <= ? ORDER BY version LIMIT ?",
                (stream, after, limit, PAGE),
            )
            for found in page:
                yield found
            if len(page) < PAGE:
                return
            after = page[-1].version

    async def read_payloads(self, stream: str, *, after: int = 0, until: int | None = None) -> AsyncIterator[Payloads]:
        limit = until if until is not None else 1 << 62
        while (page := await self._run(partial(_payloads, stream, after, limit))) is not None:
            yield page
            if len(page.events) < PAGE:
                return
            after = page.version

    async def read_all(
        self, *, after: int = 0, categories: Sequence[str] | None = None, until: int | None = None
    ) -> AsyncIterator[StoredEvent]:
        limit = until if until is not None else await self.head()
        where, arguments = _in_categories(categories)
        while after < limit:
            page = await self._query(
                f"{where} position > ? AND position <= ? ORDER BY position LIMIT ?",
                (*arguments, after, limit, PAGE),
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
        return await self._run(lambda db: int(db.execute(_HEAD).fetchone()[0]))

    async def wait_beyond(self, position: int, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        self._waiting += 1
        try:
            while not self._closed:
                self._keep_watching()
                committed = self._committed
                head = await self.head()
                remaining = deadline - time.monotonic()
                if head > position or remaining <= 0:
                    return head
                try:
                    # asyncio.wait_for of Python 3.11 loses a cancellation that comes together with the result.
                    async with asyncio.timeout(remaining):
                        await committed.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting -= 1
        raise Unavailable("the event store is closed")

    def _keep_watching(self) -> None:
        """One task for all who wait: it looks for commits of other connections."""
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.get_running_loop().create_task(self._watch_commits(), name="event store watch")

    async def _watch_commits(self) -> None:
        seen: int | None = None
        while self._waiting and not self._closed:
            # A number that changes when another connection commits; read in place, since it costs microseconds.
            version = int(self._watch.execute("PRAGMA data_version").fetchone()[0])
            if version != seen:
                seen = version
                self._wake()
            await asyncio.sleep(POLL_S)

    async def position_at(self, moment: datetime) -> int:
        return await self._run(lambda db: _position_at(db, text_of(moment)))

    async def find(self, event_id: str) -> StoredEvent | None:
        found = await self._query("event_id = ? LIMIT ?", (event_id, 1))
        return found[0] if found else None

    async def close(self) -> None:
        self._closed = True
        self._wake()
        await self._group.close()
        if self._watcher is not None:
            await asyncio.gather(self._watcher, return_exceptions=True)
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._writer_thread.stop()
        self._reader_thread.stop()
        for connection in (self._writer.db, self._read, self._watch):
            connection.close()

    async def _query(self, where: str, arguments: tuple[object, ...]) -> list[StoredEvent]:
        statement = f"SELECT {COLUMNS} FROM events WHERE {where}"
        return await self._run(lambda db: _events(db.execute(statement, arguments)))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise Unavailable("the event store is closed")
        try:
            return await self._reader_thread.run(partial(work, self._read))
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error


def _events(rows: Iterable[Any]) -> list[StoredEvent]:
    """Field by field and in one go: replaying a long log spends its time here.

    Events of one commit have one time, so a text is read only when it differs from the one before.
    """
    events: list[StoredEvent] = []
    text, at = "", EPOCH
    # fmt: off
    for (position, event_id, stream, version, kind, schema, recorded_at,
         tenant, actor, correlation, causation, trace, payload) in rows:
        if recorded_at != text:
            text, at = recorded_at, datetime.fromisoformat(recorded_at)
        events.append(StoredEvent(position, event_id, stream, version, kind, schema, at,
                                  tenant, actor, correlation, causation, trace, payload))
    # fmt: on
    return events


def _payloads(stream: str, after: int, limit: int, db: sqlite3.Connection) -> Payloads | None:
    """Three columns a row, since each one costs time; the last row tells whether one is missing before it."""
    events = db.execute(_PAYLOADS, (stream, after, limit, PAGE)).fetchall()
    if not events:
        return None
    version, position, event_id = db.execute(_LAST_OF_THESE, (stream, after, limit, 1, len(events) - 1)).fetchone()
    if version != after + len(events):
        raise sqlite3.DatabaseError(f"{stream} has {len(events)} events from version {after + 1} to {version}")
    return Payloads(events, version, position, event_id)


def _position_at(db: sqlite3.Connection, moment: str) -> int:
    """The last position that was recorded at or before a moment; times never go back, so halving finds it."""
    low, high = 0, int(db.execute(_HEAD).fetchone()[0])
    while low < high:
        middle = (low + high + 1) // 2
        (recorded_at,) = db.execute("SELECT recorded_at FROM events WHERE position = ?", (middle,)).fetchone()
        low, high = (middle, high) if recorded_at <= moment else (low, middle - 1)
    return low


def _in_categories(categories: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    if categories is None:
        return "", ()
    if len(categories) == 1:
        return "category = ? AND", tuple(categories)
    # The plus keeps SQLite from the index, with which it would sort all events of these categories for every page.
    return f"+category IN ({','.join('?' * len(categories))}) AND", tuple(categories)
