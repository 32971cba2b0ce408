"""Data keys in PostgreSQL, for platforms whose event store is there; several gateways may use them at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from modelog_common.domain.errors import Conflict
from modelog_common.events.postgres_tables import PostgresTables
from modelog_common.privacy.keys import DataKey, Erasure, key_id_of

SCHEMA = "modelog_keys"
# Any number will do, as long as nobody else in this database locks it: "keys" in ASCII.
LOCK = 0x6B657973
_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS {SCHEMA}.data_keys (
  id text PRIMARY KEY, tenant text NOT NULL, subject text NOT NULL, master text NOT NULL, wrapped bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.erasures (
  id text PRIMARY KEY, tenant text NOT NULL, subject text NOT NULL,
  by text NOT NULL, at timestamptz NOT NULL, reason text NOT NULL
);
"""
_KEY = "id, tenant, subject, master, wrapped"
_ERASURE = "tenant, subject, by, at, reason"


class PostgresKeyStore:
    """A KeyStore in the database at `url`; connects, and makes its tables, with the first call.

    A destroyed key is overwritten in its row. The server may keep the old row for a while, in pages that it has not
    cleaned yet and in its log of changes: rotating the master key makes such rests worthless.
    """

    def __init__(self, url: str) -> None:
        self._tables = PostgresTables(url, _TABLES, LOCK)

    async def add(self, key: DataKey) -> DataKey:
        async def work(db: Any) -> DataKey:
            async with db.transaction():
                await db.execute(f"INSERT INTO {SCHEMA}.meta VALUES ('master', $1) ON CONFLICT DO NOTHING", key.master)
                # A change of the master key waits until this key is in, and then finds it.
                master = await db.fetchval(f"SELECT value FROM {SCHEMA}.meta WHERE key = 'master' FOR SHARE")
                known = await _find(db, [key.id])
                if known:
                    return known[key.id]
                if master != key.master:
                    raise Conflict(
                        f"data keys are wrapped by the master key {master} now; this process has {key.master}"
                    )
                await db.execute(
                    f"INSERT INTO {SCHEMA}.data_keys ({_KEY}) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                    key.id, key.tenant, key.subject, key.master, key.wrapped,
                )  # fmt: skip
                return (await _find(db, [key.id]))[key.id]

        return await self._tables.run(work)

    async def find(self, ids: Collection[str]) -> Mapping[str, DataKey]:
        return await self._tables.run(lambda db: _find(db, ids))

    async def destroy(self, erasure: Erasure) -> Erasure:
        key_id = key_id_of(erasure.tenant, erasure.subject)

        async def work(db: Any) -> Erasure:
            async with db.transaction():
                await db.execute(
                    f"INSERT INTO {SCHEMA}.erasures (id, {_ERASURE}) VALUES ($1, $2, $3, $4, $5, $6) "
                    "ON CONFLICT DO NOTHING",
                    key_id, erasure.tenant, erasure.subject, erasure.by, erasure.at, erasure.reason,
                )  # fmt: skip
                await db.execute(
                    f"INSERT INTO {SCHEMA}.data_keys ({_KEY}) VALUES ($1, $2, $3, '', '') "
                    "ON CONFLICT (id) DO UPDATE SET master = '', wrapped = ''",
                    key_id, erasure.tenant, erasure.subject,
                )  # fmt: skip
                row = await db.fetchrow(f"SELECT {_ERASURE} FROM {SCHEMA}.erasures WHERE id = $1", key_id)
                return Erasure(*row)

        return await self._tables.run(work)

    async def erasures(self) -> Sequence[Erasure]:
        async def work(db: Any) -> list[Erasure]:
            return [Erasure(*r) for r in await db.fetch(f"SELECT {_ERASURE} FROM {SCHEMA}.erasures ORDER BY at, id")]

        return await self._tables.run(work)

    async def use_master(self, master: str) -> None:
        statement = (
            f"INSERT INTO {SCHEMA}.meta VALUES ('master', $1) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
        )
        await self._tables.run(lambda db: db.execute(statement, master))

    async def master(self) -> str:
        query = f"SELECT value FROM {SCHEMA}.meta WHERE key = 'master'"
        return str(await self._tables.run(lambda db: db.fetchval(query)) or "")

    async def wrapped_by_others(self, master: str) -> Sequence[DataKey]:
        query = f"SELECT {_KEY} FROM {SCHEMA}.data_keys WHERE master != $1 AND wrapped != '' ORDER BY id"

        async def work(db: Any) -> list[DataKey]:
            return [DataKey(*row) for row in await db.fetch(query, master)]

        return await self._tables.run(work)

    async def rewrap(self, before: DataKey, after: DataKey) -> None:
        statement = f"UPDATE {SCHEMA}.data_keys SET master = $1, wrapped = $2 WHERE id = $3 AND wrapped = $4"
        await self._tables.run(lambda db: db.execute(statement, after.master, after.wrapped, before.id, before.wrapped))

    async def close(self) -> None:
        await self._tables.close()


async def _find(db: Any, ids: Collection[str]) -> dict[str, DataKey]:
    rows = await db.fetch(f"SELECT {_KEY} FROM {SCHEMA}.data_keys WHERE id = ANY($1::text[])", list(ids))
    return {row["id"]: DataKey(*row) for row in rows}
