"""What the SDK and the command line are tested against: the small platform of the gateway's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import modelog
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from small_platform import SmallPlatform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    small = SmallPlatform(tmp_path_factory.mktemp("platform"))
    small.start()
    yield small
    small.stop()


@pytest.fixture
def alice(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("alice", "developer", "reviewer") as client:
        yield client


@pytest.fixture
def bob(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("bob", "reviewer") as client:
        yield client


@pytest.fixture
def admin(platform: SmallPlatform) -> Iterator[modelog.Client]:
    with platform.client("admin", "admin") as client:
        yield client
