"""The file behind the SQLite event store: its tables, and the one writer of this process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import Conflict, Invalid, ModelogError, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.events.checks import check_restored
from modelog_common.events.group import Answers, Pending
from modelog_common.events.store import Appended, Expected, StoredEvent

FORMAT = 1
KNOWN_STREAMS = 10_000
COLUMNS = (
    "position, event_id, stream, version, type, schema, recorded_at, "
    "tenant, actor, correlation, causation, trace, payload"
)
_INSERT = f"INSERT INTO events ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
NEW_HISTORY = "INSERT OR {} INTO meta VALUES ('history', ?)"
# recorded_at needs no index: it never goes back, so a moment is found by halving the positions.
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
DROP INDEX IF EXISTS events_by_time;
INSERT OR IGNORE INTO meta VALUES ('format', '{FORMAT}');
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits survive a power failure."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    return db


def prepare(path: Path) -> str:
    """Make the file and its tables; returns the log's history.

    Raises Unavailable when the file is no store, or was written by a newer release.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = connect(path)
        try:
            _refuse_newer_format(db, path)
            db.executescript(_SCHEMA)
            db.execute(NEW_HISTORY.format("IGNORE"), (str(uuid7()),))
            (history,) = db.execute("SELECT value FROM meta WHERE key = 'history'").fetchone()
            return str(history)
        finally:
            db.close()
    except (sqlite3.Error, OSError) as error:
        raise unavailable(path, error) from error


def _refuse_newer_format(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return
    (found,) = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() or (str(FORMAT),)
    if int(found) > FORMAT:
        raise Unavailable(
            f"{path} was written by a newer release (format {found}); this one reads up to format {FORMAT}. "
            "Nothing was changed."
        )


class Writer:
    """Commits batches of appends; one thread uses it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.db = connect(path)
        self._path, self._clock = path, clock
        self._seen: int | None = None
        self._head, self._last = 0, ""
        self._versions: dict[str, int] = {}

    def commit(self, batch: list[Pending]) -> Answers:
        """One transaction for all; an append that is refused leaves no trace and does not disturb the others."""
        try:
            answers = self._commit_as_expected(batch)
            return self._commit_one_by_one(batch) if answers is None else answers
        except sqlite3.Error as error:
            raise unavailable(self._path, error) from error

    def _commit_as_expected(self, batch: list[Pending]) -> Answers | None:
        """The usual case, in one insert: every stream is at its expected version, and no event is there yet."""
        rows: list[tuple[object, ...]] = []
        answers: Answers = []
        with self._transaction():
            head, at = self._head, max(text_of(self._clock.now()), self._last)
            versions: dict[str, int] = {}
            for item in batch:
                stream = item.stream
                version = versions[stream] if stream in versions else self._version(stream)
                if not _as_expected(item, version):
                    return None
                for e in item.events:
                    head, version = head + 1, version + 1
                    rows.append(
                        (head, e.id, stream, version, e.type, e.schema, at,
                         e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, e.payload)
                    )  # fmt: skip
                versions[stream] = version
                answers.append(Appended(head, version))
            try:
                self.db.executemany(_INSERT, rows)
            except sqlite3.IntegrityError:
                self.db.execute("ROLLBACK")
                return None
        self._remember(head, at, versions)
        return answers

    def _commit_one_by_one(self, batch: list[Pending]) -> Answers:
        answers: Answers = []
        with self._transaction():
            head, at = self._head, max(text_of(self._clock.now()), self._last)
            self._versions.clear()
            for item in batch:
                try:
                    answer = self._insert(item, head, at)
                    head = head if answer.repeated else answer.position
                    answers.append(answer)
                except ModelogError as refused:
                    answers.append(refused)
        self._remember(head, at if head > self._head else self._last, {})
        return answers

    def _insert(self, item: Pending, head: int, at: str) -> Appended:
        repeated = self._already_there(item)
        if repeated is not None:
            return repeated
        version = self._stored_version(item.stream)
        if not _as_expected(item, version):
            wanted = 0 if item.expected is Expected.NONE else item.expected
            raise Conflict(f"{item.stream} is at version {version}, not at the expected {wanted}")
        rows = [
            (head + n, e.id, item.stream, version + n, e.type, e.schema, at,
             e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, e.payload)
            for n, e in enumerate(item.events, start=1)
        ]  # fmt: skip
        self.db.executemany(_INSERT, rows)
        return Appended(head + len(rows), version + len(rows))

    def _already_there(self, item: Pending) -> Appended | None:
        """The first answer, when these ids were appended before."""
        lookup = "SELECT position, version, stream FROM events WHERE event_id = ?"
        found = [row for e in item.events if (row := self.db.execute(lookup, (e.id,)).fetchone())]
        if not found:
            return None
        if len(found) != len(item.events) or any(stream != item.stream for _, _, stream in found):
            raise Conflict(f"{len(found)} of {len(item.events)} event ids for {item.stream} are in the store already")
        position, version, _ = found[-1]
        return Appended(position, version, repeated=True)

    def restore(self, events: Sequence[StoredEvent]) -> None:
        """Insert events as they are, when they go on exactly where the file ends."""
        try:
            with self._transaction():
                last = datetime.fromisoformat(self._last) if self._last else None
                streams = {e.stream for e in events}
                check_restored(events, self._head, last, {stream: self._version(stream) for stream in streams})
                self.db.executemany(_INSERT, map(_row_of, events))
            self._seen = None
        except sqlite3.IntegrityError as error:
            raise Invalid.field("events", "an event with one of these ids is in the store already") from error
        except sqlite3.Error as error:
            raise unavailable(self._path, error) from error

    def renew(self, history: str) -> None:
        """Take another history."""
        try:
            self.db.execute(NEW_HISTORY.format("REPLACE"), (history,))
        except sqlite3.Error as error:
            raise unavailable(self._path, error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Alone from the first moment on: what is read inside cannot change before the commit."""
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            self._look_for_others()
            yield
            if db.in_transaction:
                db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _look_for_others(self) -> None:
        """Forget what is remembered of the file when another connection committed since."""
        (seen,) = self.db.execute("PRAGMA data_version").fetchone()
        if seen != self._seen:
            last = "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1"
            self._head, self._last = self.db.execute(last).fetchone() or (0, "")
            self._versions.clear()
            self._seen = seen

    def _remember(self, head: int, at: str, versions: dict[str, int]) -> None:
        """What was committed; without it, each batch would ask the file for what this process wrote itself."""
        self._head, self._last = head, at
        if len(self._versions) > KNOWN_STREAMS:
            self._versions.clear()
        self._versions.update(versions)

    def _version(self, stream: str) -> int:
        known = self._versions.get(stream)
        return self._stored_version(stream) if known is None else known

    def _stored_version(self, stream: str) -> int:
        query = "SELECT coalesce(max(version), 0) FROM events WHERE stream = ?"
        return int(self.db.execute(query, (stream,)).fetchone()[0])


def _as_expected(item: Pending, version: int) -> bool:
    expected = item.expected
    if expected is Expected.ANY:
        return True
    return version == (0 if expected is Expected.NONE else expected)


def _row_of(e: StoredEvent) -> tuple[object, ...]:
    return (
        e.position, e.id, e.stream, e.version, e.type, e.schema, text_of(e.recorded_at),
        e.tenant, e.actor, e.correlation_id, e.causation_id, e.trace_id, e.payload,
    )  # fmt: skip


def text_of(moment: datetime) -> str:
    """A moment as the file holds it: texts sort as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def unavailable(path: Path, error: Exception) -> Unavailable:
    """The error for everything that SQLite or the disk refuses."""
    return Unavailable(f"the event store {path} cannot be used: {error}")
