"""Data keys in a SQLite file whose freed bytes are overwritten: the embedded platform's key store."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.privacy.keys import DataKey, Erasure, key_id_of

IN_ONE_QUERY = 500
BUSY_TIMEOUT_S = 30
OWNER_ONLY = 0o600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS data_keys (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, subject TEXT NOT NULL, master TEXT NOT NULL, wrapped BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS erasures (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, subject TEXT NOT NULL,
  by TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL
);
"""
_KEY = "id, tenant, subject, master, wrapped"
T = TypeVar("T")


class SqliteKeyStore:
    """A KeyStore in the file `path`, which is opened with the first call and readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, "data-keys")
        self._db: sqlite3.Connection | None = None

    async def add(self, key: DataKey) -> DataKey:
        return await self._run(lambda db: _add(db, key))

    async def find(self, ids: Collection[str]) -> Mapping[str, DataKey]:
        return await self._run(lambda db: _find(db, list(ids)))

    async def destroy(self, erasure: Erasure) -> Erasure:
        return await self._run(lambda db: _destroy(db, erasure))

    async def erasures(self) -> Sequence[Erasure]:
        return await self._run(lambda db: _erasures(db, "1"))

    async def use_master(self, master: str) -> None:
        await self._run(lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES ('master', ?)", (master,)))

    async def master(self) -> str:
        query = "SELECT value FROM meta WHERE key = 'master'"
        (found,) = await self._run(lambda db: db.execute(query).fetchone()) or ("",)
        return str(found)

    async def wrapped_by_others(self, master: str) -> Sequence[DataKey]:
        query = f"SELECT {_KEY} FROM data_keys WHERE master != ? AND length(wrapped) > 0 ORDER BY id"
        return await self._run(lambda db: [DataKey(*row) for row in db.execute(query, (master,))])

    async def rewrap(self, before: DataKey, after: DataKey) -> None:
        statement = "UPDATE data_keys SET master = ?, wrapped = ? WHERE id = ? AND wrapped = ?"
        values = (after.master, after.wrapped, before.id, before.wrapped)
        await self._run(lambda db: db.execute(statement, values))

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown, wait=True)
        if self._db is not None:
            self._db.close()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._with_database, work)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the key store {self.path} cannot be used: {error}") from error

    def _with_database(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db is None:
            self._db = _open(self.path)
        return work(self._db)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")
    db.executescript(_SCHEMA)
    # An erasure that was killed may have left a key's bytes in the log of changes. Who reads just now prevents it; the
    # next erasure does it again.
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return db


def _add(db: sqlite3.Connection, key: DataKey) -> DataKey:
    with _transaction(db):
        known = _find(db, [key.id]).get(key.id)
        if known is not None:
            return known
        (master,) = db.execute("SELECT value FROM meta WHERE key = 'master'").fetchone() or (key.master,)
        if master != key.master:
            raise Conflict(f"data keys are wrapped by the master key {master} now; this process has {key.master}")
        db.execute("INSERT OR IGNORE INTO meta VALUES ('master', ?)", (master,))
        values = (key.id, key.tenant, key.subject, key.master, key.wrapped)
        db.execute(f"INSERT INTO data_keys ({_KEY}) VALUES (?, ?, ?, ?, ?)", values)
        return key


def _find(db: sqlite3.Connection, ids: list[str]) -> dict[str, DataKey]:
    found: dict[str, DataKey] = {}
    for start in range(0, len(ids), IN_ONE_QUERY):
        some = ids[start : start + IN_ONE_QUERY]
        query = f"SELECT {_KEY} FROM data_keys WHERE id IN ({','.join('?' * len(some))})"
        found |= {row[0]: DataKey(*row) for row in db.execute(query, some)}
    return found


def _destroy(db: sqlite3.Connection, erasure: Erasure) -> Erasure:
    key_id = key_id_of(erasure.tenant, erasure.subject)
    with _transaction(db):
        first = (key_id, erasure.tenant, erasure.subject, erasure.by, erasure.at.isoformat(), erasure.reason)
        db.execute("INSERT OR IGNORE INTO erasures VALUES (?, ?, ?, ?, ?, ?)", first)
        db.execute("DELETE FROM data_keys WHERE id = ?", (key_id,))
        values = (key_id, erasure.tenant, erasure.subject, "", b"")
        db.execute(f"INSERT INTO data_keys ({_KEY}) VALUES (?, ?, ?, ?, ?)", values)
    # The log of changes still holds the page as it was.
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError(f"another process reads it for more than {BUSY_TIMEOUT_S} s; erase again")
    return _erasures(db, "id = ?", key_id)[0]


def _erasures(db: sqlite3.Connection, where: str, *values: str) -> list[Erasure]:
    query = f"SELECT tenant, subject, by, at, reason FROM erasures WHERE {where} ORDER BY at, id"
    return [
        Erasure(tenant, subject, by, datetime.fromisoformat(at), reason)
        for tenant, subject, by, at, reason in db.execute(query, values)
    ]


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, alone among the processes that use the file."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
