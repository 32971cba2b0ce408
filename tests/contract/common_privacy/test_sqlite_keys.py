"""The SQLite file passes the suite of key stores, keeps its keys, and leaves no byte of a destroyed one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from key_store_suite import KeyStoreSuite, data_key, erasure
from modelog_common.domain.errors import Unavailable
from modelog_common.privacy.keys import KeyStore
from modelog_common.privacy.sqlite import SqliteKeyStore


class TestSqliteKeyStore(KeyStoreSuite):
    @pytest.fixture
    async def keys(self, tmp_path: Path) -> AsyncIterator[KeyStore]:  # type: ignore[override]
        keys = SqliteKeyStore(tmp_path / "keys.db")
        yield keys
        await keys.close()


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))


async def test_keys_and_erasures_outlive_the_process_and_are_its_owners_only(tmp_path: Path) -> None:
    first = SqliteKeyStore(tmp_path / "new" / "keys.db")
    kept = await first.add(data_key("user/eve"))
    await first.destroy(erasure())
    await first.close()
    second = SqliteKeyStore(tmp_path / "new" / "keys.db")
    assert await second.find([kept.id]) == {kept.id: kept}
    assert list(await second.erasures()) == [erasure()]
    assert (tmp_path / "new" / "keys.db").stat().st_mode & 0o077 == 0
    await second.close()


async def test_no_byte_of_a_destroyed_key_is_left_in_the_files(tmp_path: Path) -> None:
    keys, other = SqliteKeyStore(tmp_path / "keys.db"), SqliteKeyStore(tmp_path / "keys.db")
    secrets = {f"user/{n}": os.urandom(60) for n in range(50)}
    for subject, wrapped in secrets.items():
        await keys.add(data_key(subject, wrapped=wrapped))
    await other.find([data_key().id])
    assert all(wrapped in bytes_of(tmp_path) for wrapped in secrets.values())
    for subject in list(secrets)[::2]:
        await keys.destroy(erasure(subject))
    left = bytes_of(tmp_path)
    assert [wrapped in left for wrapped in secrets.values()] == [False, True] * 25
    await keys.close()
    await other.close()


async def test_an_erasure_that_a_reader_holds_up_says_so_and_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelog_common.privacy.sqlite.BUSY_TIMEOUT_S", 0.1)
    keys = SqliteKeyStore(tmp_path / "keys.db")
    wrapped = os.urandom(60)
    await keys.add(data_key(wrapped=wrapped))
    reader = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM data_keys").fetchone()
    with pytest.raises(Unavailable, match="another process reads it"):
        await keys.destroy(erasure())
    reader.close()
    assert await keys.destroy(erasure()) == erasure()
    assert wrapped not in bytes_of(tmp_path)
    await keys.close()


async def test_a_file_that_is_no_key_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.db").write_bytes(b"not a database" * 100)
    keys = SqliteKeyStore(tmp_path / "keys.db")
    with pytest.raises(Unavailable, match=r"key store .*keys\.db cannot be used: file is not a database"):
        await keys.erasures()
    await keys.close()
