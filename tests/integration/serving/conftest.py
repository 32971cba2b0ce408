"""A serving process's parts in this process, beside a real registry."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from serving_rig import Caller, Process, Rig, registry_of, serving_of
from worker_rig import Many


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Serving without Kafka, and a registry with two versions of flight-delay."""
    async with registry_of(Rig(tmp_path)) as made, serving_of(made):
        yield made


@pytest.fixture
def alice(rig: Rig) -> Caller:
    return rig.caller("alice")


@pytest_asyncio.fixture(loop_scope="module")
async def many(process: Process) -> AsyncIterator[Many]:
    """24 connections to the workers of a module's `process`: both have some."""
    made = Many(process.rig, process.rig.caller())
    yield made
    await made.close()
