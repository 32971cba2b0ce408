"""Leases and positions of relays in SQLite."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from modelog_common.bus.leases import RelayProgress, SqliteRelayProgress

sys.path.insert(0, str(Path(__file__).parent))

from relay_progress_suite import RelayProgressSuite, tokens_of


def tokens_in_sqlite(path: Path, owner: str) -> list[int]:
    return asyncio.run(tokens_of(SqliteRelayProgress(path), owner))


class TestSqliteRelayProgress(RelayProgressSuite):
    @pytest.fixture
    async def opened(self, tmp_path: Path) -> AsyncIterator[Callable[[], RelayProgress]]:
        all_opened: list[SqliteRelayProgress] = []

        def open_again() -> RelayProgress:
            all_opened.append(SqliteRelayProgress(tmp_path / "events.db"))
            return all_opened[-1]

        yield open_again
        for progress in all_opened:
            await progress.close()

    @pytest.fixture
    def tokens_of_process(self, tmp_path: Path) -> Callable[[int], Callable[[], list[int]]]:
        return lambda n: partial(tokens_in_sqlite, tmp_path / "events.db", f"owner {n}")

    async def test_a_lease_from_a_clock_that_was_ahead_does_not_last_for_ever(
        self, opened: Callable[[], RelayProgress], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = opened(), opened()
        with monkeypatch.context() as ahead:
            ahead.setattr("time.time", lambda: 4e9)
            assert await one.acquire("/log", "one", 5.0) is not None
        assert await other.acquire("/log", "other", 5.0) is not None
