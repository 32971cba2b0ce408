"""A serving process's parts and a registry, once for all clients of the inference protocol."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "serving"))

import numpy as np
from serving_rig import COLUMNS, Caller, Rig, answers_of, model_file, registry_of, serving_of

ROWS = np.random.default_rng(7).normal(size=(3, len(COLUMNS))).astype(np.float32)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def deployed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Any]]:
    """What a program is given: addresses, a token, and what the model itself answers to some rows."""
    async with registry_of(Rig(tmp_path_factory.mktemp("rig"))) as rig, serving_of(rig):
        alice = rig.caller("alice")
        await alice.deploy()
        yield {
            "caller": alice,
            "name": "flights",
            "grpc": rig.oip,
            "http": rig.http,
            "token": alice.token,
            "columns": list(COLUMNS),
            "rows": ROWS.tolist(),
            "expected": answers_of(model_file(0), ROWS).tolist(),
            "other": answers_of(model_file(1), ROWS).tolist(),
        }


@pytest.fixture
def given(deployed: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in deployed.items() if name != "caller"})


@pytest.fixture
def caller(deployed: dict[str, Any]) -> Caller:
    """Who deployed it."""
    return deployed["caller"]  # type: ignore[no-any-return]
