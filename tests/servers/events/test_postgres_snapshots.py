"""PostgreSQL passes the suite of snapshots, which all services with a log there share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from modelog_common.adapters import open_snapshots
from modelog_common.config import Settings
from modelog_common.domain.errors import Unavailable
from modelog_common.events.snapshots import Snapshots
from modelog_common.events.snapshots.postgres import PostgresSnapshots
from real_servers import PostgresServer, started_again
from snapshots_suite import FIRST, SnapshotsSuite


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.create_database()


class TestPostgresSnapshots(SnapshotsSuite):
    @pytest.fixture
    async def snapshots(self, url: str) -> AsyncIterator[Snapshots]:  # type: ignore[override]
        snapshots = PostgresSnapshots(url)
        yield snapshots
        await snapshots.close()


async def test_services_with_a_log_in_postgres_share_them(url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, event_store=url)
    one, other = open_snapshots(settings, "registry"), open_snapshots(settings, "registry")
    await one.keep(FIRST)
    assert await other.find(FIRST.stream) == FIRST
    newer = msgspec.structs.replace(FIRST, version=1000, position=1300).sealed()
    await other.keep(newer)
    await one.keep(FIRST)
    assert await one.find(FIRST.stream) == newer
    assert not list(tmp_path.iterdir()), "no disk is needed"
    await one.close()
    await other.close()


async def test_a_server_that_crashed_has_forgotten_them_and_one_that_is_away_is_said(
    url: str, postgres: PostgresServer
) -> None:
    snapshots = PostgresSnapshots(url)
    await snapshots.keep(FIRST)
    postgres.kill()
    try:
        with pytest.raises(Unavailable, match="the PostgreSQL server at .* cannot be used"):
            await snapshots.find(FIRST.stream)
    finally:
        started_again(postgres)
    assert await snapshots.find(FIRST.stream) is None
    await snapshots.keep(FIRST)
    assert await snapshots.find(FIRST.stream) == FIRST
    await snapshots.close()
