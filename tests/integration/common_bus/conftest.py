"""Fixtures of the bus tests, and the folder of their shared support on the path."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import Family, Topic
from modelog_common.events.sqlite import SqliteEventStore

sys.path.insert(0, str(Path(__file__).parent))

from bus_support import TENANT, Projection


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    """An event store of this test's own."""
    opened = await SqliteEventStore.open(tmp_path / "events.db")
    yield opened
    await opened.close()


@pytest.fixture
def bus(broker: str) -> KafkaBroker:
    """The session's broker, behind the port."""
    return KafkaBroker(broker)


@pytest.fixture
def topics() -> Family:
    """Topics that no other test uses."""
    return Family("events.registry", f"test{uuid4().hex}")


@pytest.fixture
def topic(topics: Family) -> Topic:
    """The one of the tenant whose events these tests append."""
    return topics.of(TENANT)


@pytest.fixture
async def projection(tmp_path: Path) -> AsyncIterator[Projection]:
    """A consumer's own database."""
    own = Projection(tmp_path / "projection.db")
    yield own
    await own.dead.close()
