"""What the unit tests of monitoring share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelog_monitoring.data.store import WindowStore

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WindowStore]:
    made = WindowStore(tmp_path / "windows.db")
    yield made
    made.close()
