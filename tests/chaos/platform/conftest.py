"""A platform of each test's own that is hurt while it works; its helpers are those of the end-to-end tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from running_platform import RunningPlatform
from survivor import Survivor


@pytest.fixture
def survivor(tmp_path: Path) -> Iterator[Survivor]:
    """A running platform with something to do, in a folder of its own."""
    own = RunningPlatform(tmp_path)
    own.up()
    try:
        yield Survivor(own, tmp_path)
    finally:
        own.down()
