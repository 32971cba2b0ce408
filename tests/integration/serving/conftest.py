"""A serving process's parts in this process, beside a real registry."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

from serving_rig import Caller, Rig, registry_of, serving_of


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Serving without Kafka, and a registry with two versions of flight-delay."""
    async with registry_of(Rig(tmp_path)) as made, serving_of(made):
        yield made


@pytest.fixture
def alice(rig: Rig) -> Caller:
    return rig.caller("alice")
