"""Snapshots in one SQLite file: the embedded default."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from modelog_common.domain.errors import Unavailable
from modelog_common.events.snapshots import Snapshot
from modelog_common.small_sqlite import open_file

T = TypeVar("T")
_COLUMNS = "stream, version, position, event_id, code, state, checksum"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
  stream TEXT PRIMARY KEY, version INTEGER NOT NULL, position INTEGER NOT NULL, event_id TEXT NOT NULL,
  code TEXT NOT NULL, state BLOB NOT NULL, checksum BLOB NOT NULL)
"""
_KEEP = f"""
INSERT INTO snapshots ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (stream) DO UPDATE SET version = excluded.version, position = excluded.position,
  event_id = excluded.event_id, code = excluded.code, state = excluded.state, checksum = excluded.checksum
WHERE excluded.version > version OR excluded.code != code
"""
log = structlog.get_logger()


class SqliteSnapshots:
    """Snapshots in the file `path`; calls raise Unavailable for trouble. A damaged file is thrown away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "snapshots")
        self._db: sqlite3.Connection | None = None

    async def find(self, stream: str) -> Snapshot | None:
        query = f"SELECT {_COLUMNS} FROM snapshots WHERE stream = ?"
        row = await self._run(lambda db: db.execute(query, (stream,)).fetchone())
        return None if row is None else Snapshot(*row)

    async def keep(self, snapshot: Snapshot) -> None:
        s = snapshot
        row = (s.stream, s.version, s.position, s.event_id, s.code, s.state, s.checksum)
        await self._run(lambda db: db.execute(_KEEP, row))

    async def clear(self) -> None:
        await self._run(lambda _: self._throw_away())

    async def close(self) -> None:
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._thread.shutdown(wait=True)
        self._disconnect()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                return work(self._connection())
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                log.warning("the file of snapshots is damaged and thrown away", file=str(self._path), why=str(error))
                self._throw_away()
                return work(self._connection())
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the snapshots {self._path} cannot be used: {error}") from error

    def _throw_away(self) -> None:
        self._disconnect()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_file(self._path, _prepare, timeout_s=5)
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _prepare(db: sqlite3.Connection) -> None:
    # A power failure may lose snapshots, or the file: the log has everything.
    db.execute("PRAGMA synchronous=OFF")
    db.execute(_SCHEMA)
