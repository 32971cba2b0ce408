"""A registry process and a training service in this process, which the tests of a module share: Ray starts once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "training"))

from modelog_common.service import Host
from modelog_training.app import build
from training_world import PATIENCE_S, User, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty data folder; a test starts the processes that it wants, and they end with it."""
    made = World(tmp_path)
    yield made
    made.end_processes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Both services answer; training runs in this process, so that what it does is measured."""
    made = World(tmp_path_factory.mktemp("shared"))
    made.start("registry")
    await made.answers("registry")
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with Host("training", made.settings("training")) as host:
        await build(host)
        task = asyncio.create_task(host.run(ready.set_result))
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
        if task.done():
            task.result()
        yield made
        await made.close()
        host.stop()
        await task
    made.end_processes()


@pytest.fixture
def alice(shared: World) -> User:
    return shared.user("alice")
