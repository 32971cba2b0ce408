"""The prediction log's SQLite file: its tables, the batches in it, and how far each producer has come."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelog_common.bus.progress import Progress, SqliteProgress
from modelog_common.bus.topics import sender_of
from modelog_common.domain.errors import Unavailable
from modelog_common.domain.ids import uuid7

from modelog_serving.predlog import bodies
from modelog_serving.predlog.answers import Answers
from modelog_serving.predlog.bodies import Connection, Gone, Place

# 2 has segments, and batches that were dropped: who does not know of them would count batches anew. 3 has a journal
# beside it: who does not read it would lose what was answered before a crash. 4 knows batches by the range of their
# ids: who does not look there would not find them. 5 has segments whose leaves are several answers: who does not know
# of them would prove what is not so. 6 has bodies beside it: who does not look there would find nothing in batches.
FORMAT = 6
# Of a file that is made now: batches are large, and SQLite spends as much on a small page as on a large one. Where a
# file must stay small, tables and what is begun are to be small, too.
PAGE_BYTES, SMALL_PAGE_BYTES = 16_384, 4096
SMALL_FILE_BYTES = 64 << 20
# What was committed is brought from the WAL to its place so often.
CHECKPOINT_BYTES = 4 << 20
MOST_PAGES = 4_294_967_294
CONSUMER = "serving.requests"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch (sequence INTEGER PRIMARY KEY, tenant TEXT NOT NULL, deployment TEXT NOT NULL,
  body BLOB NOT NULL, file INTEGER NOT NULL DEFAULT 0, place INTEGER NOT NULL DEFAULT 0,
  size INTEGER NOT NULL DEFAULT 0, crc INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS deployment (number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL,
  UNIQUE (tenant, name));
CREATE TABLE IF NOT EXISTS prediction (deployment INTEGER NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL,
  row INTEGER NOT NULL, PRIMARY KEY (deployment, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS made (deployment INTEGER NOT NULL, last TEXT NOT NULL, sequence INTEGER NOT NULL,
  first TEXT NOT NULL, PRIMARY KEY (deployment, last, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (producer TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment (tenant TEXT NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, count INTEGER NOT NULL, size_bytes INTEGER NOT NULL, root TEXT NOT NULL, digest TEXT NOT NULL,
  first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, position INTEGER NOT NULL DEFAULT 0,
  leaves INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, number)) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS segment_of_batch ON segment (tenant, last);
CREATE TABLE IF NOT EXISTS dropped (tenant TEXT PRIMARY KEY, number INTEGER NOT NULL, last INTEGER NOT NULL,
  last_us INTEGER NOT NULL, dropped_us INTEGER NOT NULL, cleared INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""
_BATCH = "sequence, tenant, deployment, body, file, place, size"
_INSIDE = Place()
# What files of before do not have.
_NEW_COLUMNS = {"segment": ("leaves",), "batch": ("file", "place", "size", "crc")}


class Batch(NamedTuple):
    """A batch as it is stored."""

    sequence: int
    tenant: str
    deployment: str
    body: bytes
    file: int


def connect(path: Path, most_bytes: int = 0) -> Connection:
    """Open or make the file; raises Unavailable when it is no prediction log or a newer release wrote it.

    WAL with synchronous=NORMAL: what was committed survives `kill -9` of the process; a power failure may take the
    last commits.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = bodies.connected(path, path)
        db.execute(f"PRAGMA page_size={SMALL_PAGE_BYTES if is_small(most_bytes) else PAGE_BYTES}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA journal_size_limit=67108864")
        db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_BYTES // page_bytes(db)}")
        limit(db, most_bytes)
        for statement in (*_SCHEMA.split(";"), bodies.SCHEMA):
            db.execute(statement)
        _upgrade(db)
        begin = "INSERT OR IGNORE INTO meta VALUES ('format', ?), ('log_id', ?), ('journal', '0'), ('synced', '0')"
        db.execute(begin, (str(FORMAT), str(uuid7())))
        found = meta(db, "format")
        if int(found) < FORMAT:
            db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (str(FORMAT),))
        SqliteProgress(db, CONSUMER)
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(f"the prediction log {path} cannot be opened: {error}") from error
    if int(found) > FORMAT:
        db.close()
        raise Unavailable(
            f"the prediction log {path} has format {found}, written by a newer release; this one reads {FORMAT}"
        )
    return db


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring the tables of a file of before to today's; several processes may do so at once."""
    if not _missing(db):
        return
    db.execute("BEGIN IMMEDIATE")
    for table, column in _missing(db):
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    db.execute("COMMIT")


def _missing(db: sqlite3.Connection) -> list[tuple[str, str]]:
    found = {table: {name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")} for table in _NEW_COLUMNS}
    return [(table, name) for table, names in _NEW_COLUMNS.items() for name in names if name not in found[table]]


def is_small(most_bytes: int) -> bool:
    """Whether a file that may become so large (0: any size) is a small one."""
    return 0 < most_bytes < SMALL_FILE_BYTES


def limit(db: sqlite3.Connection, most_bytes: int) -> None:
    """How large the file may become by this connection; 0 for as large as SQLite makes files."""
    db.execute(f"PRAGMA max_page_count={max(1, most_bytes // page_bytes(db)) if most_bytes else MOST_PAGES}")


def page_bytes(db: sqlite3.Connection) -> int:
    """Of this file: a file keeps the pages that it was made with."""
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int(size)


def used_bytes(db: sqlite3.Connection) -> int:
    """The part of the file that holds something, with what lies beside it: what is freed in the file is used again, and
    the file stays as large as it was."""
    return _pages(db) * page_bytes(db) - free_bytes(db) + bodies.size_bytes(db)


def free_bytes(db: sqlite3.Connection) -> int:
    """The part of the file that holds nothing."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    return int(free) * page_bytes(db)


def size_bytes(db: sqlite3.Connection) -> int:
    """What the file takes of the disk, with what lies beside it."""
    return _pages(db) * page_bytes(db) + bodies.size_bytes(db)


def _pages(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    return int(pages)


def meta(db: sqlite3.Connection, key: str) -> str:
    (value,) = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(value)


def keep_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))


def last_sequence(db: sqlite3.Connection) -> int:
    """The last batch's place, also when it was dropped since."""
    (last,) = db.execute(
        "SELECT max(coalesce((SELECT max(sequence) FROM batch), 0), coalesce((SELECT max(last) FROM segment), 0), "
        "coalesce((SELECT max(last) FROM dropped), 0))"
    ).fetchone()
    return int(last)


def number_of(db: sqlite3.Connection, tenant: str, deployment: str) -> int:
    """The number by which the index knows a deployment; made when it is new."""
    number = known_number(db, tenant, deployment)
    if number is None:
        made = db.execute("INSERT INTO deployment (tenant, name) VALUES (?, ?)", (tenant, deployment))
        number = int(made.lastrowid or 0)
    return number


def known_number(db: sqlite3.Connection, tenant: str, deployment: str) -> int | None:
    """The number by which the index knows a deployment; None when it has none of its predictions."""
    row = db.execute("SELECT number FROM deployment WHERE tenant = ? AND name = ?", (tenant, deployment)).fetchone()
    return None if row is None else int(row[0])


def store(db: sqlite3.Connection, answers: Answers, sequence: int, body: bytes, place: Place = _INSIDE) -> None:
    """A batch with its `body`; with none, but its `place`, where that lies beside the file."""
    row = (sequence, answers.tenant, answers.deployment, body, *place)
    db.execute(f"INSERT INTO batch ({_BATCH}, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    if answers.source is not None:
        reached(db, sender_of(answers.tenant, answers.source.producer), answers.source.sequence)


def batches(db: Connection, condition: str, values: Sequence[Any]) -> Iterator[Batch]:
    """The batches that meet a condition, in order. Raises Gone for one that was dropped meanwhile."""
    query = f"SELECT {_BATCH} FROM batch WHERE {condition}"
    for sequence, tenant, deployment, body, number, at, size in db.execute(query, values):
        whole = db.beside.read(number, at, size) if number else body
        yield Batch(sequence, tenant, deployment, whole, number)


def one_batch(db: Connection, condition: str, values: Sequence[Any]) -> Batch:
    """The first of them; raises Gone where there is none."""
    for found in batches(db, f"{condition} LIMIT 1", values):
        return found
    raise Gone("the batch is not there any more")


def reached(db: sqlite3.Connection, producer: str, sequence: int) -> None:
    """Remember how far the batches of a tenant's producer were handled."""
    db.execute(
        "INSERT INTO source VALUES (?, ?) ON CONFLICT (producer) DO UPDATE SET sequence = max(sequence, ?)",
        (producer, sequence, sequence),
    )


def save_progress(db: sqlite3.Connection, progress: Progress) -> None:
    SqliteProgress(db, CONSUMER).save(progress)
