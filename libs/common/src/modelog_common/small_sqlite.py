"""Opening a small SQLite file of one's own: a projection, a cache or a store's notes beside the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path


def open_file(
    path: Path, prepare: Callable[[sqlite3.Connection], object], *, timeout_s: float = 30
) -> sqlite3.Connection:
    """A connection in autocommit mode with a write-ahead log, after `prepare`; the file's folder is made.

    When it cannot be prepared, the connection is closed and the error is sqlite3's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        prepare(db)
    except sqlite3.Error:
        db.close()
        raise
    return db
