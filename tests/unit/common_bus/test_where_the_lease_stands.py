"""Without a PostgreSQL the lease of a relay is a file: the log's own, or one of the data directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from modelog_common.adapters import open_relay_progress
from modelog_common.bus.leases import SqliteRelayProgress
from modelog_common.config import Settings

KURRENT = "kurrentdb://127.0.0.1:2113?tls=false"


@pytest.mark.parametrize(
    ("told", "file"),
    [
        ({}, "events.db"),
        ({"tables": "postgresql://modelog@db/modelog"}, "events.db"),
        ({"event_store": KURRENT}, "relay.db"),
        ({"event_store": KURRENT, "tables": "mysql://modelog@db/modelog"}, "relay.db"),
    ],
)
async def test_the_lease_is_in_this_file(tmp_path: Path, told: dict[str, str], file: str) -> None:
    progress = open_relay_progress(Settings(data_dir=tmp_path, **told))
    assert isinstance(progress, SqliteRelayProgress)
    assert await progress.acquire("/log", "one", 60.0) is not None
    assert [found.name for found in tmp_path.glob("*.db")] == [file]
    await progress.close()
