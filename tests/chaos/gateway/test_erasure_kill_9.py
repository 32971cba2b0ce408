"""The suite of killed erasures with log and keys in files, of which no byte of a destroyed key is left in any."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from erased_users import Erasers, make_users
from erasure_kill_suite import ErasureKillSuite, killed

KEYS = "data-keys.db"


class TestErasureKill9(ErasureKillSuite):
    @pytest.fixture
    def log(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'events.db'}"

    @pytest.fixture
    def keys(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / KEYS}"

    def remember_keys(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / KEYS)) as db:
            self.wrapped = dict(db.execute("SELECT subject, wrapped FROM data_keys"))
        assert all(wrapped in bytes_of(folder) for wrapped in self.wrapped.values())

    def check_destroyed(self, folder: Path, name: str) -> None:
        assert self.wrapped[f"user/{name}"] not in bytes_of(folder), f"the key of {name} is left in a file"


async def test_a_start_clears_what_a_killed_erasure_left_in_the_log_of_changes(tmp_path: Path) -> None:
    addresses = f"sqlite:///{tmp_path / 'events.db'}", f"sqlite:///{tmp_path / KEYS}"
    await make_users(tmp_path, *addresses)
    steps = await asyncio.to_thread(killed, tmp_path, *addresses)
    # The first clears the log of changes at the start, the last after the erasure.
    number = max(n for n, step in enumerate(steps) if "wal_checkpoint" in step)
    for file in tmp_path.glob("*.db*"):
        file.unlink()
    (tmp_path / "keys" / "master.key").unlink()
    await make_users(tmp_path, *addresses)
    with closing(sqlite3.connect(tmp_path / KEYS)) as db:
        query = "SELECT wrapped FROM data_keys WHERE subject = ?"
        (wrapped,) = db.execute(query, (f"user/user-{number}",)).fetchone()
    await asyncio.to_thread(killed, tmp_path, *addresses, str(number))
    assert wrapped in bytes_of(tmp_path), "it was killed before the bytes were gone"
    next_one = await Erasers.open(tmp_path, *addresses)
    await next_one.users.finish_erasures(next_one.log)
    assert wrapped not in bytes_of(tmp_path)
    await next_one.close()


def bytes_of(folder: Path) -> bytes:
    """The key store's file and its log of changes."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob(f"{KEYS}*")))
