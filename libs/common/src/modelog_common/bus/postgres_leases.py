"""Leases and positions of relays in PostgreSQL: for relays on several machines, whose one clock is the server's."""

from __future__ import annotations

from typing import Any

from modelog_common.bus.leases import Lease, LeaseLost, Published, Reached
from modelog_common.events.postgres_tables import PostgresTables

SCHEMA = "modelog_relay"
# Any number will do, as long as nobody else in this database locks it: "relay" in ASCII.
LOCK = 0x72656C6179
_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.lease (
  log text PRIMARY KEY, token bigint NOT NULL, owner text NOT NULL, expires_at timestamptz NOT NULL,
  covered bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.topic (
  log text NOT NULL, topic text NOT NULL, incarnation text NOT NULL, position bigint NOT NULL, PRIMARY KEY (log, topic)
);
"""
_HELD = f"SELECT true FROM {SCHEMA}.lease WHERE log = $1 AND owner <> $2 AND expires_at > clock_timestamp()"
_ENDS = "clock_timestamp() + $2 * interval '1 second'"
# One statement: of two that ask at once, the second waits for the first and then finds its row.
_TAKE = f"""INSERT INTO {SCHEMA}.lease AS held VALUES ($1, 1, $3, {_ENDS}, 0)
  ON CONFLICT (log) DO UPDATE SET token = held.token + 1, owner = excluded.owner, expires_at = excluded.expires_at
  WHERE held.owner = excluded.owner OR held.expires_at <= clock_timestamp()
  RETURNING token"""
_RENEW = f"UPDATE {SCHEMA}.lease SET expires_at = {_ENDS} WHERE log = $1 AND token = $3 RETURNING token"
_COVER = f"UPDATE {SCHEMA}.lease SET covered = $1 WHERE log = $2 AND token = $3 RETURNING token"
_SAVE = f"""INSERT INTO {SCHEMA}.topic VALUES ($1, $2, $3, $4) ON CONFLICT (log, topic)
  DO UPDATE SET incarnation = excluded.incarnation, position = excluded.position"""


class PostgresRelayProgress:
    """A RelayProgress in the database at `url`; connects, and makes its tables, with the first call."""

    def __init__(self, url: str) -> None:
        self._tables = PostgresTables(url, _TABLES, LOCK)

    async def acquire(self, log: str, owner: str, ttl_s: float) -> Lease | None:
        async def work(db: Any) -> Lease | None:
            # Whoever waits for its turn asks often: a look costs no commit.
            if await db.fetchval(_HELD, log, owner):
                return None
            token = await db.fetchval(_TAKE, log, ttl_s, owner)
            return None if token is None else Lease(log, token)

        return await self._tables.run(work)

    async def renew(self, lease: Lease, ttl_s: float) -> None:
        async def work(db: Any) -> None:
            if await db.fetchval(_RENEW, lease.log, ttl_s, lease.token) is None:
                raise await _lost(db, lease)

        await self._tables.run(work)

    async def release(self, lease: Lease) -> None:
        await self._tables.run(lambda db: db.execute(_RENEW, lease.log, -1.0, lease.token))

    async def load(self, log: str) -> Reached:
        async def work(db: Any) -> Reached:
            covered = await db.fetchval(f"SELECT covered FROM {SCHEMA}.lease WHERE log = $1", log)
            rows = await db.fetch(f"SELECT topic, incarnation, position FROM {SCHEMA}.topic WHERE log = $1", log)
            return Reached(covered or 0, {topic: Published(*rest) for topic, *rest in rows})

        return await self._tables.run(work)

    async def save(self, lease: Lease, reached: Reached) -> None:
        async def work(db: Any) -> None:
            async with db.transaction():
                if await db.fetchval(_COVER, reached.covered, lease.log, lease.token) is None:
                    raise await _lost(db, lease)
                rows = [(lease.log, topic, p.incarnation, p.position) for topic, p in reached.topics.items()]
                await db.executemany(_SAVE, rows)

        await self._tables.run(work)

    async def close(self) -> None:
        """Close the connections."""
        await self._tables.close()


async def _lost(db: Any, lease: Lease) -> LeaseLost:
    held = await db.fetchrow(f"SELECT owner, token FROM {SCHEMA}.lease WHERE log = $1", lease.log)
    owner = f"{held[0]} with token {held[1]}" if held else "nobody"
    return LeaseLost(f"{lease.log} is published by {owner} now; this publisher's token {lease.token} is too old")
