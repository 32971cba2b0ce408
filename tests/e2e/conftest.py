"""One running platform for the whole session (for each worker of xdist), and a deployed model to ask."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running_platform import RunningPlatform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform on free ports, in a folder of its own; use names of your own."""
    own = RunningPlatform(tmp_path_factory.mktemp("platform"))
    own.up()
    yield own
    own.down()
