"""Leases and positions of relays in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from modelog_common.adapters import open_relay_progress
from modelog_common.bus.leases import RelayProgress
from modelog_common.bus.postgres_leases import PostgresRelayProgress
from modelog_common.config import Settings
from real_servers import PostgresServer
from relay_progress_suite import RelayProgressSuite, tokens_of


def tokens_in_postgres(url: str, owner: str) -> list[int]:
    async def tokens() -> list[int]:
        progress = PostgresRelayProgress(url)
        try:
            return await tokens_of(progress, owner)
        finally:
            await progress.close()

    return asyncio.run(tokens())


class TestPostgresRelayProgress(RelayProgressSuite):
    @pytest.fixture
    def url(self, postgres: PostgresServer) -> str:
        return postgres.create_database()

    @pytest.fixture
    async def opened(self, url: str) -> AsyncIterator[Callable[[], RelayProgress]]:
        all_opened: list[PostgresRelayProgress] = []

        def open_again() -> RelayProgress:
            all_opened.append(PostgresRelayProgress(url))
            return all_opened[-1]

        yield open_again
        for progress in all_opened:
            await progress.close()

    @pytest.fixture
    def tokens_of_process(self, url: str) -> Callable[[int], Callable[[], list[int]]]:
        return lambda n: partial(tokens_in_postgres, url, f"owner {n}")

    async def test_it_stands_in_the_event_stores_own_database(self, url: str, tmp_path: Path) -> None:
        progress = open_relay_progress(Settings(data_dir=tmp_path, event_store=url))
        assert isinstance(progress, PostgresRelayProgress)
        assert await progress.acquire("/log", "one", 5.0) is not None
        await progress.close()
