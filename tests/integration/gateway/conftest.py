"""The small platform, and HTTP clients of its gateway."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_platform import SmallPlatform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    small = SmallPlatform(tmp_path_factory.mktemp("platform"))
    small.start()
    yield small
    small.stop()


@pytest.fixture
def http(platform: SmallPlatform) -> Iterator[httpx.Client]:
    """An admin's client."""
    headers = {"Authorization": f"Bearer {platform.token('alice', 'admin')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        yield client
