"""The event store in one SQLite file: the embedded default, shared by the processes of one machine.

Positions are assigned as max + 1 inside an immediate transaction, so their order is the order of commits. Appends that
arrive while a commit is under way share the next one. WAL with synchronous=FULL: what was acknowledged survives a
power failure.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from modelog_common.domain.clock import Clock, SystemClock
from modelog_common.domain.errors import Conflict, Invalid, ModelogError, Unavailable
from modelog_common.events.checks import check_append, check_restored, check_restored_texts
from modelog_common.events.store import Appended, Expected, ExpectedVersion, NewEvent, StoredEvent

FORMAT = 1
PAGE = 1000
POLL_S = 0.01
_COLUMNS = (
    "position, event_id, stream, version, type, schema, recorded_at, "
    "tenant, actor, correlation, causation, trace, payload"
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  position INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  type TEXT NOT NULL,
  schema INTEGER NOT NULL,
  recorded_at TEXT NOT NULL,
  tenant TEXT NOT NULL,
  actor TEXT NOT NULL,
  correlation TEXT NOT NULL,
  causation TEXT NOT NULL,
  trace TEXT NOT NULL,
  payload BLOB NOT NULL,
  category TEXT GENERATED ALWAYS AS (substr(stream, 1, instr(stream || '-', '-') - 1)) VIRTUAL,
  UNIQUE (stream, version)
);
CREATE INDEX IF NOT EXISTS events_by_category ON events (category, position);
CREATE INDEX IF NOT EXISTS events_by_time ON events (recorded_at);
INSERT OR IGNORE INTO meta VALUES ('format', '{FORMAT}');
"""
_INSERT = f"INSERT INTO events ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
T = TypeVar("T")


@dataclass
class _Append:
    stream: str
    events: Sequence[NewEvent]
    expected: ExpectedVersion
    answer: asyncio.Future[Appended]


class SqliteEventStore:
    """An EventStore in the file `path`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._writer_thread = ThreadPoolExecutor(1, "event-writer")
        self._reader_thread = ThreadPoolExecutor(1, "event-reader")
        self._write = _connect(path)
        self._read = _connect(path)
        self._watch = _connect(path)
        self._pending: list[_Append] = []
        self._writing = False
        self._closed = False
        self._committed = asyncio.Event()
        self._waiting = 0
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path, clock: Clock | None = None) -> SqliteEventStore:
        """Open or make the store; raises Unavailable when the file is no store, or was written by a newer release."""
        return await asyncio.to_thread(_open, cls, path, clock or SystemClock())

    async def append(
        self, stream: str, events: Sequence[NewEvent], *, expected: ExpectedVersion = Expected.ANY
    ) -> Appended:
        check_append(stream, events)
        if self._closed:
            raise Unavailable("the event store is closed")
        loop = asyncio.get_running_loop()
        item = _Append(stream, events, expected, loop.create_future())
        self._pending.append(item)
        if not self._writing:
            self._writing = True
            loop.call_soon(self._cut, loop)
        return await item.answer

    def _cut(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand everything that waits to the writer as one transaction."""
        batch, self._pending = self._pending, []
        if not batch:
            self._writing = False
            return
        written = loop.run_in_executor(self._writer_thread, self._commit, batch)
        written.add_done_callback(lambda done: self._answer(loop, batch, done))

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Append],
        done: asyncio.Future[list[Appended | ModelogError]],
    ) -> None:
        failed = done.exception()
        answers = [failed] * len(batch) if failed else done.result()
        for item, answer in zip(batch, answers, strict=True):
            if item.answer.done():
                continue
            if isinstance(answer, BaseException):
                item.answer.set_exception(answer)
            else:
                item.answer.set_result(answer)
        self._wake()
        self._cut(loop)

    def _wake(self) -> None:
        self._committed.set()
        self._committed = asyncio.Event()

    def _commit(self, batch: list[_Append]) -> list[Appended | ModelogError]:
        """One transaction for all; an append that is refused leaves no trace and does not disturb the others."""
        db = self._write
        answers: list[Appended | ModelogError] = []
        try:
            with _transaction(db):
                head, last = _last_of(db)
                recorded_at = max(_text_of(self._clock.now()), last)
                for item in batch:
                    try:
                        answer = _insert(db, item, head, recorded_at)
                        head = head if answer.repeated else answer.position
                        answers.append(answer)
                    except ModelogError as refused:
                        answers.append(refused)
        except sqlite3.Error as error:
            raise _unavailable(self.path, error) from error
        return answers

    async def restore(self, events: Sequence[StoredEvent]) -> None:
        check_restored_texts(events)
        if self._closed:
            raise Unavailable("the event store is closed")
        await asyncio.get_running_loop().run_in_executor(self._writer_thread, self._restore, events)
        self._wake()

    def _restore(self, events: Sequence[StoredEvent]) -> None:
        db = self._write
        try:
            with _transaction(db):
                head, last = _last_of(db)
                versions = {stream: _version_of(db, stream) for stream in {e.stream for e in events}}
                check_restored(events, head, datetime.fromisoformat(last) if last else None, versions)
                db.executemany(_INSERT, map(_row_of, events))
        except sqlite3.IntegrityError as error:
            raise Invalid.field("events", "an event with one of these ids is in the store already") from error
        except sqlite3.Error as error:
            raise _unavailable(self.path, error) from error

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
            head = await self.head()
            async for found in self.read_all(after=after, categories=categories, until=head):
                yield found
            after = max(after, head)
            await self.wait_beyond(after, timeout_s=60)

    async def head(self) -> int:
        return await self._run(
            lambda db: int(db.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])
        )

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
        text = _text_of(moment)
        return await self._run(
            lambda db: int(
                db.execute("SELECT coalesce(max(position), 0) FROM events WHERE recorded_at <= ?", (text,)).fetchone()[
                    0
                ]
            )
        )

    async def find(self, event_id: str) -> StoredEvent | None:
        found = await self._query("event_id = ? LIMIT ?", (event_id, 1))
        return found[0] if found else None

    async def close(self) -> None:
        self._closed = True
        self._wake()
        if self._watcher is not None:
            await asyncio.gather(self._watcher, return_exceptions=True)
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._writer_thread.shutdown(wait=True)
        self._reader_thread.shutdown(wait=True)
        for connection in (self._write, self._read, self._watch):
            connection.close()

    async def _query(self, where: str, arguments: tuple[object, ...]) -> list[StoredEvent]:
        statement = f"SELECT {_COLUMNS} FROM events WHERE {where}"
        return await self._run(lambda db: [_event(row) for row in db.execute(statement, arguments)])

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader_thread, work, self._read)
        except sqlite3.Error as error:
            raise _unavailable(self.path, error) from error


def _open(cls: type[SqliteEventStore], path: Path, clock: Clock) -> SqliteEventStore:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = _connect(path)
        try:
            _refuse_newer_format(db, path)
            db.executescript(_SCHEMA)
        finally:
            db.close()
        return cls(path, clock)
    except (sqlite3.Error, OSError) as error:
        raise _unavailable(path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    return db


def _refuse_newer_format(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return
    (found,) = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() or (str(FORMAT),)
    if int(found) > FORMAT:
        raise Unavailable(
            f"{path} was written by a newer release (format {found}); this one reads up to format {FORMAT}. "
            "Nothing was changed."
        )


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Alone from the first moment on: what is read inside cannot change before the commit."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _last_of(db: sqlite3.Connection) -> tuple[int, str]:
    """Position and time of the last event."""
    return db.execute("SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1").fetchone() or (0, "")


def _version_of(db: sqlite3.Connection, stream: str) -> int:
    return int(db.execute("SELECT coalesce(max(version), 0) FROM events WHERE stream = ?", (stream,)).fetchone()[0])


def _insert(db: sqlite3.Connection, item: _Append, head: int, recorded_at: str) -> Appended:
    repeated = _already_there(db, item)
    if repeated is not None:
        return repeated
    version = _version_of(db, item.stream)
    wanted = 0 if item.expected is Expected.NONE else item.expected
    if wanted is not Expected.ANY and wanted != version:
        raise Conflict(f"{item.stream} is at version {version}, not at the expected {wanted}")
    rows = [
        (
            head + n, e.id, item.stream, version + n, e.type, e.schema, recorded_at,
            e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, e.payload,
        )
        for n, e in enumerate(item.events, start=1)
    ]  # fmt: skip
    db.executemany(_INSERT, rows)
    return Appended(head + len(rows), version + len(rows))


def _already_there(db: sqlite3.Connection, item: _Append) -> Appended | None:
    """The first answer, when these ids were appended before."""
    found = [
        row
        for e in item.events
        if (row := db.execute("SELECT position, version, stream FROM events WHERE event_id = ?", (e.id,)).fetchone())
    ]
    if not found:
        return None
    if len(found) != len(item.events) or any(stream != item.stream for _, _, stream in found):
        raise Conflict(f"{len(found)} of {len(item.events)} event ids for {item.stream} are in the store already")
    position, version, _ = found[-1]
    return Appended(position, version, repeated=True)


def _in_categories(categories: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    if categories is None:
        return "", ()
    return f"category IN ({','.join('?' * len(categories))}) AND", tuple(categories)


def _event(row: tuple[Any, ...]) -> StoredEvent:
    position, event_id, stream, version, kind, schema, recorded_at, *rest = row
    at = datetime.fromisoformat(recorded_at)
    return StoredEvent(position, event_id, stream, version, kind, schema, at, *rest)


def _row_of(e: StoredEvent) -> tuple[object, ...]:
    return (
        e.position, e.id, e.stream, e.version, e.type, e.schema, _text_of(e.recorded_at),
        e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, e.payload,
    )  # fmt: skip


def _text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _unavailable(path: Path, error: Exception) -> Unavailable:
    return Unavailable(f"the event store {path} cannot be used: {error}")
