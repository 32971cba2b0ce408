"""The Merkle tree and the signed checkpoints in one SQLite file, written in one transaction with the tree's size."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from modelog_common.domain.errors import Unavailable
from modelog_common.small_sqlite import open_file
from modelog_proofs import MerkleTree, Node

T = TypeVar("T")
_NODES = (
    "(level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)) WITHOUT ROWID"
)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS log (only INTEGER PRIMARY KEY CHECK (only = 1), size INTEGER NOT NULL, public_key TEXT);
INSERT OR IGNORE INTO log VALUES (1, 0, NULL);
CREATE TABLE IF NOT EXISTS nodes {_NODES};
CREATE TABLE IF NOT EXISTS checkpoints (
  size INTEGER PRIMARY KEY, root BLOB NOT NULL, note TEXT NOT NULL, signed_at TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Signed:
    """A checkpoint that was signed: the log's size and root, and the note."""

    size: int
    root: bytes
    note: str


class SqliteHashes:
    """A modelog_proofs.HashStore in a table; writes are part of the caller's transaction."""

    def __init__(self, db: sqlite3.Connection, table: str = "nodes") -> None:
        self._db = db
        self._insert = f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)"
        self._select = f"SELECT hash FROM {table} WHERE level = ? AND number = ?"

    def read(self, nodes: Sequence[Node]) -> Sequence[bytes]:
        return [self._hash(node) for node in nodes]

    def write(self, hashes: Sequence[tuple[Node, bytes]]) -> None:
        self._db.executemany(self._insert, ((level, number, value) for (level, number), value in hashes))

    def _hash(self, node: Node) -> bytes:
        row = self._db.execute(self._select, node).fetchone()
        if row is None:
            raise KeyError(node)
        return bytes(row[0])


class TreeFile:
    """The file `path`. Calls wait for the one thread that owns the connection; they raise Unavailable for trouble."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, "audit-tree")
        self._db: sqlite3.Connection | None = None

    async def size(self) -> int:
        """How many events are in the tree."""
        return await self._run(_size)

    async def extend(self, first: int, leaf_hashes: Sequence[bytes]) -> int:
        """Add the leaf hashes of the events from position `first` on; returns the new size.

        Raises ValueError when `first` is not the position after the last one.
        """

        def write(db: sqlite3.Connection) -> int:
            with _transaction(db):
                size = _size(db)
                if first != size + 1:
                    raise ValueError(f"the tree holds {size} events; {first} is not the next position")
                size = MerkleTree(SqliteHashes(db), size).extend(leaf_hashes)
                db.execute("UPDATE log SET size = ?", (size,))
            return size

        return await self._run(write)

    async def ask(self, question: Callable[[MerkleTree], T]) -> T:
        """What the tree as it is now answers: a root, a proof."""
        return await self._run(lambda db: question(MerkleTree(SqliteHashes(db), _size(db))))

    async def leaf_hash(self, position: int) -> bytes:
        """The hash that was kept of the event at `position`; raises KeyError when there is none."""
        return await self._run(lambda db: SqliteHashes(db).read([Node(0, position - 1)])[0])

    async def public_key(self) -> str:
        """The verifier key of the checkpoints in this file; "" before the first one."""
        return await self._run(lambda db: db.execute("SELECT public_key FROM log").fetchone()[0] or "")

    async def keep(self, signed: Signed, public_key: str, at: datetime) -> None:
        """Add a checkpoint to the history; one of the same size is there already and stays."""

        def write(db: sqlite3.Connection) -> None:
            row = (signed.size, signed.root, signed.note, at.isoformat())
            with _transaction(db):
                db.execute("INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?, ?)", row)
                db.execute("UPDATE log SET public_key = ?", (public_key,))

        await self._run(write)

    async def newest(self, size: int | None = None) -> Signed | None:
        """The newest checkpoint, or the one of exactly this size."""
        where = "" if size is None else "WHERE size = ?"
        query = f"SELECT size, root, note FROM checkpoints {where} ORDER BY size DESC LIMIT 1"
        row = await self._run(lambda db: db.execute(query, () if size is None else (size,)).fetchone())
        return None if row is None else Signed(*row)

    async def start_anew(self) -> None:
        """Begin another tree beside this one, in place of one that was begun before."""

        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                db.execute("DROP TABLE IF EXISTS anew")
                db.execute(f"CREATE TABLE anew {_NODES}")

        await self._run(write)

    async def extend_anew(self, size: int, leaf_hashes: Sequence[bytes]) -> int:
        """Add leaf hashes to the other tree, which has `size`; returns its new size."""

        def write(db: sqlite3.Connection) -> int:
            with _transaction(db):
                return MerkleTree(SqliteHashes(db, "anew"), size).extend(leaf_hashes)

        return await self._run(write)

    async def replace(self, size: int, check: Callable[[MerkleTree], None]) -> None:
        """Put the other tree in place of this one; what `check` raises about it leaves the old one as it was."""

        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                check(MerkleTree(SqliteHashes(db, "anew"), size))
                db.execute("DROP TABLE nodes")
                db.execute("ALTER TABLE anew RENAME TO nodes")
                db.execute("UPDATE log SET size = ?", (size,))

        await self._run(write)

    def leaf_hashes(self, size: int) -> Generator[bytes]:
        """The kept hashes of positions 1 to `size`, over a connection of its own."""
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as db:
            query = "SELECT hash FROM nodes WHERE level = 0 AND number < ? ORDER BY number"
            for (value,) in db.execute(query, (size,)):
                yield bytes(value)

    async def close(self) -> None:
        """Close the file, after what is under way."""
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._thread.shutdown(wait=True)
        if self._db is not None:
            self._db.close()
            self._db = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._connection()))
        except sqlite3.Error as error:
            raise Unavailable(f"the audit tree {self.path} cannot be used: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_file(self.path, _prepare)
        return self._db


def _prepare(db: sqlite3.Connection) -> None:
    # Leaves can be hashed again from the store, but a checkpoint that was handed out must stay.
    db.execute("PRAGMA synchronous=FULL")
    db.executescript(_SCHEMA)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _size(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT size FROM log").fetchone()[0])
