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

    @pytest.mark.parametrize("log", ["postgres", "kurrentdb://127.0.0.1:2113?tls=false"])
    async def test_it_stands_in_the_logs_database_or_beside_the_read_tables(
        self, url: str, tmp_path: Path, log: str
    ) -> None:
        """KurrentDB has no place for it."""
        told = {"event_store": url} if log == "postgres" else {"event_store": log, "tables": url}
        one, other = (open_relay_progress(Settings(data_dir=tmp_path / n, **told)) for n in ("one", "other"))
        assert isinstance(one, PostgresRelayProgress)
        assert await one.acquire("/log", "one", 60.0) is not None
        assert await other.acquire("/log", "other", 60.0) is None, "relays of two machines know of each other"
        await one.close()
        await other.close()
