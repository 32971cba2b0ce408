"""Who may publish a log now, and how far it was published: durable, and fenced by a token that only rises."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.small_sqlite import open_file

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS relay_lease (
  log TEXT PRIMARY KEY, token INTEGER NOT NULL, owner TEXT NOT NULL, expires_at REAL NOT NULL, covered INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS relay_topic (
  log TEXT NOT NULL, topic TEXT NOT NULL, incarnation TEXT NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY (log, topic)
) WITHOUT ROWID;
"""
_HELD = "SELECT token, owner, expires_at FROM relay_lease WHERE log = ?"
_TAKE = """INSERT INTO relay_lease VALUES (?, 1, ?, ?, 0) ON CONFLICT (log)
  DO UPDATE SET token = token + 1, owner = excluded.owner, expires_at = excluded.expires_at"""
_RENEW = "UPDATE relay_lease SET expires_at = ? WHERE log = ? AND token = ?"
_COVER = "UPDATE relay_lease SET covered = ? WHERE log = ? AND token = ?"
_SAVE = """INSERT INTO relay_topic VALUES (?, ?, ?, ?) ON CONFLICT (log, topic)
  DO UPDATE SET incarnation = excluded.incarnation, position = excluded.position"""


@dataclass(frozen=True)
class Lease:
    """The right to publish a log. A lease with a higher token ends it."""

    log: str
    token: int


@dataclass(frozen=True)
class Published:
    """Everything of a log that belongs into a topic, up to `position`, is in this incarnation of it."""

    incarnation: str
    position: int


@dataclass(frozen=True)
class Reached:
    """How far a log was published: what every topic holds, and up to which position every entry is in some topic."""

    covered: int = 0
    topics: Mapping[str, Published] = field(default_factory=dict)


class LeaseLost(Conflict):
    """Another publisher holds the lease now."""


class RelayProgress(Protocol):
    """Where publishers of logs find out whose turn it is, and remember how far they have come."""

    async def acquire(self, log: str, owner: str, ttl_s: float) -> Lease | None:
        """A new lease with a higher token than any before; None while another owner's lasts."""
        ...

    async def renew(self, lease: Lease, ttl_s: float) -> None:
        """Make it last `ttl_s` from now; raises LeaseLost when there is a newer one."""
        ...

    async def release(self, lease: Lease) -> None:
        """End it now, so that another need not wait; nothing happens when there is a newer one."""
        ...

    async def load(self, log: str) -> Reached:
        """What was saved last."""
        ...

    async def save(self, lease: Lease, reached: Reached) -> None:
        """Remember it; topics that are not named stay as they are. Raises LeaseLost when there is a newer lease.

        Losing the last saves costs repeated messages, nothing else.
        """
        ...

    async def close(self) -> None:
        """Close files and connections."""
        ...


def this_process() -> str:
    """A name for an owner of leases, which tells people where it runs."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid7()}"


class SqliteRelayProgress:
    """A RelayProgress in an SQLite file, for example the event store's own; the machine's clock ends leases.

    A save lost to a power failure is published again and dropped by position: no fsync is needed for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "relay-progress")
        self._db: sqlite3.Connection | None = None

    async def acquire(self, log: str, owner: str, ttl_s: float) -> Lease | None:
        # The token must never fall, whatever the power does: this commit is forced to the disk.
        return await self._run(lambda db: _acquire(db, log, owner, ttl_s), synchronous="FULL")

    async def renew(self, lease: Lease, ttl_s: float) -> None:
        def work(db: sqlite3.Connection) -> None:
            if not db.execute(_RENEW, (time.time() + ttl_s, lease.log, lease.token)).rowcount:
                raise _lost(db, lease)

        await self._run(work)

    async def release(self, lease: Lease) -> None:
        await self._run(lambda db: db.execute(_RENEW, (0.0, lease.log, lease.token)))

    async def load(self, log: str) -> Reached:
        def work(db: sqlite3.Connection) -> Reached:
            row = db.execute("SELECT covered FROM relay_lease WHERE log = ?", (log,)).fetchone()
            rows = db.execute("SELECT topic, incarnation, position FROM relay_topic WHERE log = ?", (log,))
            return Reached(row[0] if row else 0, {topic: Published(*rest) for topic, *rest in rows})

        return await self._run(work, begin="BEGIN")

    async def save(self, lease: Lease, reached: Reached) -> None:
        def work(db: sqlite3.Connection) -> None:
            if not db.execute(_COVER, (reached.covered, lease.log, lease.token)).rowcount:
                raise _lost(db, lease)
            rows = [(lease.log, topic, p.incarnation, p.position) for topic, p in reached.topics.items()]
            db.executemany(_SAVE, rows)

        await self._run(work)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._thread.shutdown(wait=True)
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _run(
        self, work: Callable[[sqlite3.Connection], T], *, synchronous: str = "NORMAL", begin: str = "BEGIN IMMEDIATE"
    ) -> T:
        def transaction() -> T:
            db = self._connection()
            db.execute(f"PRAGMA synchronous={synchronous}")
            db.execute(begin)
            try:
                result = work(db)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            return result

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        except sqlite3.Error as error:
            raise Unavailable(f"the progress of the relay in {self._path} cannot be used: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_file(self._path, _prepare)
        return self._db


def _prepare(db: sqlite3.Connection) -> None:
    db.executescript(_SCHEMA)


def _acquire(db: sqlite3.Connection, log: str, owner: str, ttl_s: float) -> Lease | None:
    now = time.time()
    held = db.execute(_HELD, (log,)).fetchone()
    # A lease that would last longer than any was given for comes from a clock that has since been set back.
    if held is not None and held[1] != owner and now < held[2] <= now + 2 * ttl_s:
        return None
    db.execute(_TAKE, (log, owner, now + ttl_s))
    return Lease(log, db.execute(_HELD, (log,)).fetchone()[0])


def _lost(db: sqlite3.Connection, lease: Lease) -> LeaseLost:
    held = db.execute(_HELD, (lease.log,)).fetchone()
    owner = f"{held[1]} with token {held[0]}" if held else "nobody"
    return LeaseLost(f"{lease.log} is published by {owner} now; this publisher's token {lease.token} is too old")
