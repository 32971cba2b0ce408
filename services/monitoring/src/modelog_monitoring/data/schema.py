"""The SQLite file of the data plane: whole batches as blobs, found by event time, and how far each sender has come."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from modelog_common.domain.errors import Unavailable

FORMAT = 1
_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
-- kind: 'predictions' or 'outcomes'; sender: the prediction log, or the producer of outcomes with its tenant.
-- first_us, last_us: least and greatest event time of its rows, NULL without rows; deployment is '' for a dead letter.
CREATE TABLE IF NOT EXISTS batches (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  sender TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  deployment TEXT NOT NULL,
  source TEXT NOT NULL,
  watermark_us INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  first_us INTEGER,
  last_us INTEGER,
  message BLOB,
  UNIQUE (kind, sender, sequence)
);
CREATE INDEX IF NOT EXISTS batches_by_time ON batches (kind, deployment, tenant, last_us, first_us, rows);
-- How many rows of a batch each version answered.
CREATE TABLE IF NOT EXISTS answered (
  batch INTEGER NOT NULL REFERENCES batches (id),
  version TEXT NOT NULL,
  rows INTEGER NOT NULL,
  PRIMARY KEY (version, batch)
) WITHOUT ROWID;
-- Everything of a sender up to this sequence is here.
CREATE TABLE IF NOT EXISTS senders (
  kind TEXT NOT NULL,
  sender TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (kind, sender)
) WITHOUT ROWID;
-- What the batches up to there say of each flow: the highest watermark, and how many rows came.
CREATE TABLE IF NOT EXISTS flows (
  kind TEXT NOT NULL,
  deployment TEXT NOT NULL,
  tenant TEXT NOT NULL,
  source TEXT NOT NULL,
  watermark_us INTEGER NOT NULL,
  latest_us INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  PRIMARY KEY (kind, deployment, tenant, source)
) WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the file; raises Unavailable when it cannot be used or was written by a newer release."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > FORMAT:
            connection.close()
            raise Unavailable(f"{path} has format {found}; this release reads up to {FORMAT}. Use a newer release")
        connection.execute("PRAGMA journal_mode=WAL")
        # What a producer was told is here must be here after a power failure: its own copy may be gone.
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error as error:
        raise Unavailable(f"the data of monitoring in {path} cannot be used: {error}") from error
    return connection
