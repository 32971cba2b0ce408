"""PyTorch, Lightning, Keras, TensorFlow, ONNX and Hugging Face, by MLflow's own client and by our own autologging."""

from __future__ import annotations

from pathlib import Path

import pytest
from clients import DEEP_LEARNING, TENSORFLOW, client
from small_platform import SmallPlatform

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("version", DEEP_LEARNING)
def test_flavours_of_deep_learning_and_their_autologging(version: str, platform: SmallPlatform, tmp_path: Path) -> None:
    client(version).run("deep_learning", tmp_path, platform.url, platform.token("alice", "developer"))


@pytest.mark.parametrize("version", TENSORFLOW)
def test_flavour_of_tensorflow_and_its_autologging(version: str, platform: SmallPlatform, tmp_path: Path) -> None:
    client(version).run("tensorflow_flavour", tmp_path, platform.url, platform.token("alice", "developer"))


def test_our_own_autologging_of_the_same_frameworks(platform: SmallPlatform, tmp_path: Path) -> None:
    """LightGBM is among them; of XGBoost and scikit-learn tells tests/integration/sdk/test_autologging.py."""
    token = platform.token("alice", "developer")
    client("3.17.2 with PyTorch").run("own_autologging", tmp_path, platform.url, token, own_sdk=True)
