"""PyTorch, Lightning, Keras, TensorFlow, ONNX and Hugging Face, by MLflow's own client and by our own autologging."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clients import DEEP_LEARNING, TENSORFLOW, client
from modelog.inference import predict
from small_platform import SmallPlatform

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("version", DEEP_LEARNING)
def test_flavours_of_deep_learning_and_their_autologging(version: str, platform: SmallPlatform, tmp_path: Path) -> None:
    """The ONNX model is served, too."""
    token = platform.token("alice", "developer")
    told = json.loads(client(version).run("deep_learning", tmp_path, platform.url, token).splitlines()[-1])
    number = version.partition(" ")[0]
    deployment = f"onnx-{number.replace('.', '-')}"
    with platform.client("alice") as alice:
        alice.deployments.create(deployment, f"onnx {number}", "1.0.0", "dev")
        answered = predict(alice, deployment, [{f"input[{n}]": v for n, v in enumerate(row)} for row in told["rows"]])
    assert [row[0] for row in answered["outputs"]] == pytest.approx(told["answers"], abs=1e-4)


@pytest.mark.parametrize("version", TENSORFLOW)
def test_flavour_of_tensorflow_and_its_autologging(version: str, platform: SmallPlatform, tmp_path: Path) -> None:
    client(version).run("tensorflow_flavour", tmp_path, platform.url, platform.token("alice", "developer"))


def test_our_own_autologging_of_the_same_frameworks(platform: SmallPlatform, tmp_path: Path) -> None:
    """LightGBM is among them; of XGBoost and scikit-learn tells tests/integration/sdk/test_autologging.py."""
    token = platform.token("alice", "developer")
    client("3.17.2 with PyTorch").run("own_autologging", tmp_path, platform.url, token, own_sdk=True)
