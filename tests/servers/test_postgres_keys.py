"""PostgreSQL passes the suite of key stores; what is destroyed there is in no dump."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator

import pytest
from key_store_suite import KeyStoreSuite, data_key, erasure
from modelog_common.domain.errors import Unavailable
from modelog_common.privacy.keys import KeyStore
from modelog_common.privacy.postgres import PostgresKeyStore
from real_servers import PostgresServer


class TestPostgresKeyStore(KeyStoreSuite):
    @pytest.fixture
    async def keys(self, postgres: PostgresServer) -> AsyncIterator[KeyStore]:  # type: ignore[override]
        keys = PostgresKeyStore(postgres.create_database())
        yield keys
        await keys.close()


async def test_several_processes_make_the_tables_and_see_one_key(postgres: PostgresServer) -> None:
    url = postgres.create_database()
    stores = [PostgresKeyStore(url) for _ in range(6)]
    added = await asyncio.gather(*(s.add(data_key(wrapped=b"w%d" % n)) for n, s in enumerate(stores)))
    assert len(set(added)) == 1
    await stores[0].destroy(erasure())
    assert {(await s.find([added[0].id]))[added[0].id].wrapped for s in stores} == {b""}
    for store in stores:
        await store.close()


async def test_a_destroyed_key_is_in_no_dump(postgres: PostgresServer) -> None:
    url = postgres.create_database()
    keys = PostgresKeyStore(url)
    await keys.add(data_key(wrapped=b"\xde\xad\xbe\xef" * 15))
    assert b"deadbeef" * 15 in _dump(url)
    await keys.destroy(erasure())
    dumped = _dump(url)
    assert b"deadbeef" not in dumped
    assert b"asked to" in dumped
    await keys.close()


async def test_a_server_that_is_not_there_is_named() -> None:
    keys = PostgresKeyStore("postgresql://nobody:secret@127.0.0.1:9/none")
    with pytest.raises(Unavailable, match="the PostgreSQL server at 127.0.0.1:9/none cannot be used"):
        await keys.erasures()
    await keys.close()


def _dump(url: str) -> bytes:
    return subprocess.run(["pg_dump", url], check=True, capture_output=True).stdout
