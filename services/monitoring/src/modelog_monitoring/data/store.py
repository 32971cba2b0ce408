"""The window store: batches in, each once and with the reader's position; watermarks, counts and messages out.

Everything here blocks for a moment and is called in threads. A writer and a reader share the file, each by its own
connection.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.domain.errors import Unavailable

from modelog_monitoring.data.schema import connect

T = TypeVar("T")
CONSUMER = "monitoring.data"


class Kind(StrEnum):
    """What a batch holds."""

    PREDICTIONS = "predictions"
    OUTCOMES = "outcomes"


@dataclass(frozen=True)
class Flow:
    """The batches of one deployment of a tenant."""

    kind: Kind
    deployment: str
    tenant: str


@dataclass(frozen=True)
class Batch:
    """One batch as it is stored. Without a flow it is only a place in the sender's count: a dead letter's."""

    kind: Kind
    sender: str
    sequence: int
    flow: Flow | None = None
    source: str = ""
    watermark_us: int = 0
    rows: int = 0
    first_us: int | None = None
    last_us: int | None = None
    message: bytes = b""
    versions: Mapping[str, int] = field(default_factory=dict)


class WindowStore:
    """Predictions and outcomes of all deployments."""

    def __init__(self, path: Path) -> None:
        self._writer, self._reader = connect(path), connect(path)
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self.progress = SqliteProgress(self._writer, CONSUMER)

    def add(self, batches: Sequence[Batch], progress: Progress) -> int:
        """Store new batches and the position they came from, all or nothing; returns how many were new."""
        with self._write_lock, _usable(), _transaction(self._writer):
            new = sum(_insert(self._writer, batch) for batch in batches)
            self.progress.save(progress)
            return new

    def sequence(self, kind: Kind, sender: str) -> int:
        """Up to which sequence everything of a sender is here, durably; 0 before the first."""
        query = "SELECT sequence FROM senders WHERE kind = ? AND sender = ?"
        row = self._read(lambda db: db.execute(query, (kind, sender)).fetchone())
        return int(row[0]) if row else 0

    def watermark(self, flow: Flow) -> int | None:
        """No later batch holds an event time below this, in microseconds; None before anything is known.

        It is the least of the watermarks of the flow's sources. Sources that never name one are left out, unless none
        does: then event times are taken to come in order.
        """
        query = "SELECT watermark_us, latest_us FROM flows WHERE kind = ? AND deployment = ? AND tenant = ?"
        rows = self._read(lambda db: db.execute(query, (flow.kind, flow.deployment, flow.tenant)).fetchall())
        named = [watermark for watermark, _ in rows if watermark > 0]
        return min(named or [latest for _, latest in rows], default=None)

    def rows(self, flow: Flow) -> int:
        """How many rows have come."""
        query = "SELECT coalesce(sum(rows), 0) FROM flows WHERE kind = ? AND deployment = ? AND tenant = ?"
        return int(self._read(lambda db: db.execute(query, (flow.kind, flow.deployment, flow.tenant)).fetchone())[0])

    def rows_between(self, flow: Flow, since_us: int, until_us: int, version: str = "") -> int:
        """At least how many rows a look at [since, until) can find: those of all batches that reach into it.

        With a version, only the rows that it answered count.
        """
        place = {"kind": flow.kind, "deployment": flow.deployment, "tenant": flow.tenant}
        query = (
            f"SELECT coalesce(sum({'a' if version else 'b'}.rows), 0) FROM batches b {_JOIN if version else ''}{_REACH}"
        )
        values = {**place, "since": since_us, "until": until_us, "version": version}
        return int(self._read(lambda db: db.execute(query, values).fetchone())[0])

    def first_after(self, flow: Flow, since_us: int) -> int | None:
        """A lower bound of the least event time at or after `since_us`, None when there is none.

        It is exact when no batch reaches over `since_us`.
        """
        query = (
            "SELECT min(max(first_us, ?)) FROM batches "
            "WHERE kind = ? AND deployment = ? AND tenant = ? AND last_us >= ?"
        )
        values = (since_us, flow.kind, flow.deployment, flow.tenant, since_us)
        found = self._read(lambda db: db.execute(query, values).fetchone())[0]
        return None if found is None else int(found)

    def messages(self, flow: Flow, since_us: int, until_us: int, version: str = "") -> list[bytes]:
        """The batches that reach into [since, until), as they came; with a version, those that it answered rows of."""
        query = f"SELECT b.message FROM batches b {_JOIN if version else ''}{_REACH} ORDER BY b.id"
        values = {
            "kind": flow.kind,
            "deployment": flow.deployment,
            "tenant": flow.tenant,
            "since": since_us,
            "until": until_us,
            "version": version,
        }
        return [bytes(row[0]) for row in self._read(lambda db: db.execute(query, values).fetchall())]

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._read_lock, _usable():
            return work(self._reader)

    def close(self) -> None:
        """Close the file."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()


_JOIN = "JOIN answered a ON a.batch = b.id AND a.version = :version "
_REACH = (
    "WHERE b.kind = :kind AND b.deployment = :deployment AND b.tenant = :tenant "
    "AND b.last_us >= :since AND b.first_us < :until"
)
_INSERT = (
    "INSERT OR IGNORE INTO batches "
    "(kind, sender, sequence, tenant, deployment, source, watermark_us, rows, first_us, last_us, message) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEPT = "SELECT id FROM batches WHERE kind = ? AND sender = ? AND sequence = ? AND deployment = ''"
_FILL = (
    "UPDATE batches SET tenant = ?, deployment = ?, source = ?, watermark_us = ?, rows = ?, first_us = ?, last_us = ?, "
    "message = ? WHERE id = ?"
)
_ADVANCE = "INSERT INTO senders VALUES (?, ?, ?) ON CONFLICT (kind, sender) DO UPDATE SET sequence = excluded.sequence"
_NEXT = (
    "SELECT deployment, tenant, source, watermark_us, coalesce(last_us, 0), rows FROM batches "
    "WHERE kind = ? AND sender = ? AND sequence = ?"
)
_COUNT = (
    "INSERT INTO flows VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, deployment, tenant, source) DO UPDATE SET "
    "watermark_us = max(watermark_us, excluded.watermark_us), latest_us = max(latest_us, excluded.latest_us), "
    "rows = rows + excluded.rows"
)


def _insert(db: sqlite3.Connection, batch: Batch) -> bool:
    """Insert one batch; says whether it is new."""
    deployment, tenant = (batch.flow.deployment, batch.flow.tenant) if batch.flow else ("", "")
    values = (
        batch.kind,
        batch.sender,
        batch.sequence,
        tenant,
        deployment,
        batch.source,
        batch.watermark_us,
        batch.rows,
        batch.first_us,
        batch.last_us,
        batch.message,
    )
    inserted = db.execute(_INSERT, values)
    number = inserted.lastrowid if inserted.rowcount else _fill(db, batch)
    if number is None:
        return False
    db.executemany("INSERT INTO answered VALUES (?, ?, ?)", [(number, v, n) for v, n in batch.versions.items()])
    _count(db, batch.kind, batch.sender)
    return True


def _fill(db: sqlite3.Connection, batch: Batch) -> int | None:
    """Put a batch that was refused once, and is replayed, into the place that was kept for it; None without one."""
    if batch.flow is None:
        return None
    place = (batch.kind, batch.sender, batch.sequence)
    kept = db.execute(_KEPT, place).fetchone()
    if kept is None:
        return None
    number = int(kept[0])
    found = (batch.flow.tenant, batch.flow.deployment, batch.source, batch.watermark_us, batch.rows)
    db.execute(_FILL, (*found, batch.first_us, batch.last_us, batch.message, number))
    reached = db.execute("SELECT sequence FROM senders WHERE kind = ? AND sender = ?", place[:2]).fetchone()
    if reached is not None and batch.sequence <= reached[0]:
        latest_us = batch.last_us or 0
        values = (batch.flow.deployment, batch.flow.tenant, batch.source, batch.watermark_us, latest_us, batch.rows)
        db.execute(_COUNT, (batch.kind, *values))
    return number


def _count(db: sqlite3.Connection, kind: Kind, sender: str) -> None:
    """Let the watermark and the counts follow the sender as far as there is no gap.

    A batch behind a gap waits: its watermark holds only when everything before it is here.
    """
    row = db.execute("SELECT sequence FROM senders WHERE kind = ? AND sender = ?", (kind, sender)).fetchone()
    reached = start = int(row[0]) if row else 0
    while (found := db.execute(_NEXT, (kind, sender, reached + 1)).fetchone()) is not None:
        deployment, tenant, source, watermark_us, last_us, rows = found
        if deployment:
            db.execute(_COUNT, (kind, deployment, tenant, source, watermark_us, last_us, rows))
        reached += 1
    if reached > start:
        db.execute(_ADVANCE, (kind, sender, reached))


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"the data of monitoring cannot be used: {error}") from error
