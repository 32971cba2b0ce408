"""MLflow's own client makes webhooks, and MLflow's own code reads and verifies what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import client
from small_platform import SmallPlatform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    """It may send to this machine."""
    small = SmallPlatform(tmp_path_factory.mktemp("platform"), webhook_networks="127.0.0.0/8")
    small.start()
    yield small
    small.stop()


def test_webhooks_by_mlflows_client(platform: SmallPlatform, tmp_path: Path) -> None:
    client("3.17.2").run("webhooks", tmp_path, platform.url, platform.token("alice", "admin"), "flight-delay")
    with platform.client("alice") as alice:
        assert {d.state for d in alice.webhooks.deliveries()} == {"DELIVERY_STATE_DELIVERED"}
