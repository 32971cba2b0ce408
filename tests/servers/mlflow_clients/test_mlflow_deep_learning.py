"""PyTorch, Lightning, Keras, ONNX and Hugging Face, logged, loaded and evaluated by MLflow's own client."""

from __future__ import annotations

from pathlib import Path

import pytest
from clients import DEEP_LEARNING, client
from small_platform import SmallPlatform

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("version", DEEP_LEARNING)
def test_flavours_of_deep_learning_and_their_autologging(version: str, platform: SmallPlatform, tmp_path: Path) -> None:
    client(version).run("deep_learning", tmp_path, platform.url, platform.token("alice", "developer"))
