"""Snapshots in PostgreSQL: for a log that is there, whose services need no disk of their own."""

from __future__ import annotations

from typing import Any

from modelog_common.events.postgres_tables import PostgresTables
from modelog_common.events.snapshots import Snapshot

SCHEMA = "modelog_snapshots"
# Any number will do, as long as nobody else in this database locks it: "snaps" in ASCII.
LOCK = 0x736E617073
_COLUMNS = "stream, version, position, event_id, code, state, checksum"
# Unlogged: a server that crashed has forgotten them, and keeping one waits for no disk. The log has everything.
_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE UNLOGGED TABLE IF NOT EXISTS {SCHEMA}.snapshots (
  stream text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, position bigint NOT NULL, event_id text NOT NULL,
  code text NOT NULL, state bytea NOT NULL, checksum bytea NOT NULL
);
"""
_FIND = f"SELECT {_COLUMNS} FROM {SCHEMA}.snapshots WHERE stream = $1"
_KEEP = f"""
INSERT INTO {SCHEMA}.snapshots AS kept ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (stream) DO UPDATE SET version = excluded.version, position = excluded.position,
  event_id = excluded.event_id, code = excluded.code, state = excluded.state, checksum = excluded.checksum
WHERE excluded.version > kept.version OR excluded.code != kept.code
"""


class PostgresSnapshots:
    """Snapshots in the database at `url`, shared by all who use the log; calls raise Unavailable for trouble."""

    def __init__(self, url: str) -> None:
        self._tables = PostgresTables(url, _TABLES, LOCK)

    async def find(self, stream: str) -> Snapshot | None:
        async def work(db: Any) -> Snapshot | None:
            row = await db.fetchrow(_FIND, stream)
            return None if row is None else Snapshot(*row)

        return await self._tables.run(work)

    async def keep(self, snapshot: Snapshot) -> None:
        s = snapshot
        row = (s.stream, s.version, s.position, s.event_id, s.code, s.state, s.checksum)
        await self._tables.run(lambda db: db.execute(_KEEP, *row))

    async def clear(self) -> None:
        await self._tables.run(lambda db: db.execute(f"TRUNCATE {SCHEMA}.snapshots"))

    async def close(self) -> None:
        await self._tables.close()
