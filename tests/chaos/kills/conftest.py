"""A running platform of this folder's own, which its tests may hurt."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from running_platform import RunningPlatform


@pytest.fixture(scope="module")
def wounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    own = RunningPlatform(tmp_path_factory.mktemp("wounded"))
    own.up()
    yield own
    own.down()
