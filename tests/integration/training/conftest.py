"""A registry and a training service as processes, which the tests of a module share: Ray starts once."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "training"))

from training_world import User, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty data folder; a test starts the processes that it wants, and they end with it."""
    made = World(tmp_path)
    yield made
    made.end_processes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Both services answer. Neither is in this process, which may have had Ray before, and has its token for good."""
    made = World(tmp_path_factory.mktemp("shared"))
    try:
        await made.come_up()
        yield made
    finally:
        await made.close()
        made.end_processes()


@pytest.fixture
def alice(shared: World) -> User:
    return shared.user("alice")
