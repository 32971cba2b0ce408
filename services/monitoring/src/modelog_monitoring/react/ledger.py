"""The ledger of deliveries that did not succeed yet: how often each was tried, why it failed, and when it is due."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelog_common.domain.errors import Unavailable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
  alert_id TEXT NOT NULL, channel TEXT NOT NULL, attempts INTEGER NOT NULL, error TEXT NOT NULL, due TEXT NOT NULL,
  PRIMARY KEY (alert_id, channel)
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Attempted:
    """Failed attempts so far, the last one's error, and when the next one is due."""

    attempts: int
    error: str
    due: datetime


class Ledger:
    """A small SQLite file, used in the event loop's thread. What was delivered stands in the event log, not here."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise Unavailable(f"the ledger of deliveries in {path} cannot be used: {error}") from error

    def find(self, alert_id: str, channel: str) -> Attempted | None:
        """What is known of a delivery, None before its first attempt failed."""
        row = self._db.execute(
            "SELECT attempts, error, due FROM deliveries WHERE alert_id = ? AND channel = ?", (alert_id, channel)
        ).fetchone()
        return None if row is None else Attempted(row[0], row[1], datetime.fromisoformat(row[2]))

    def failed(self, alert_id: str, channel: str, attempted: Attempted) -> None:
        """Remember a failure."""
        self._db.execute(
            "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?)",
            (alert_id, channel, attempted.attempts, attempted.error, attempted.due.isoformat()),
        )

    def delivered(self, alert_id: str, channel: str) -> None:
        """Forget its failures."""
        self._db.execute("DELETE FROM deliveries WHERE alert_id = ? AND channel = ?", (alert_id, channel))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
