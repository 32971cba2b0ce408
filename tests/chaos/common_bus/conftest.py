"""Fixtures of the bus tests, and the folder of their shared support on the path."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from modelog_common.bus.topics import Topic
from modelog_common.events.sqlite import SqliteEventStore

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "common_bus"))

from bus_support import Projection


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    """An event store of this test's own."""
    opened = await SqliteEventStore.open(tmp_path / "events.db")
    yield opened
    await opened.close()


@pytest.fixture
def topic() -> Topic:
    """A topic that no other test uses."""
    return Topic(f"test.events.{uuid4().hex}.registry")


@pytest.fixture
def projection(tmp_path: Path) -> Projection:
    """A consumer's own database."""
    return Projection(tmp_path / "projection.db")
