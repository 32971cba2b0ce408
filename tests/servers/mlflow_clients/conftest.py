"""MLflow's clients, and the small platform that they talk to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "gateway"))

from clients import REQUIREMENTS, MlflowClient, client
from small_platform import SmallPlatform


@pytest.fixture(scope="session", params=REQUIREMENTS)
def mlflow_client(request: pytest.FixtureRequest) -> MlflowClient:
    """Each version in turn."""
    return client(request.param)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    small = SmallPlatform(tmp_path_factory.mktemp("platform"))
    small.start()
    yield small
    small.stop()
