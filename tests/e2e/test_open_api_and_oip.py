"""Unmodified clients of the Open Inference Protocol, and of the REST interface's own description, get answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import modelog
import numpy as np
import pytest
import xgboost as xgb
from openapi_spec_validator import validate
from running_platform import RunningPlatform, until
from toy_model import FEATURES, deployed, toy_rows

NAME = "open"
CLIENT = Path(__file__).parents[1] / "integration" / "serving" / "oip_client.py"


@pytest.fixture(scope="module")
def alice(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[modelog.Client]:
    """The author of a deployed model, who may ask it."""
    with platform.person("open-alice", "developer") as alice, platform.person("open-bob", "reviewer") as bob:
        deployed(alice, bob, NAME, tmp_path_factory.mktemp("open"))
        yield alice


@pytest.fixture(scope="module")
def rest(platform: RunningPlatform, alice: modelog.Client) -> Iterator[httpx.Client]:
    """Plain httpx against the inference port."""
    with httpx.Client(
        base_url=platform.endpoints["inference_rest"], headers=alice.authorization, timeout=150
    ) as client:
        ready = f"/v2/models/{NAME}/ready"
        until("the deployment is ready", lambda: client.get(ready).status_code == 200)
        yield client


@pytest.fixture(scope="module")
def expected(alice: modelog.Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[float]], list[float]]:
    """Three rows and what the registered file itself says of them."""
    file = alice.models.download(NAME, alice.models.get(NAME).versions[0].version, tmp_path_factory.mktemp("file"))
    rows = toy_rows(seed=7, rows=3).select(FEATURES).to_numpy()
    return rows.tolist(), xgb.Booster(model_file=str(file)).inplace_predict(rows).tolist()


def test_a_plain_rest_call(rest: httpx.Client, expected: tuple[list[list[float]], list[float]]) -> None:
    rows, scores = expected
    tensor = {"name": "features", "datatype": "FP32", "shape": [3, 3], "data": [x for row in rows for x in row]}
    answer = rest.post(f"/v2/models/{NAME}/infer", json={"id": "7", "inputs": [tensor]}).raise_for_status().json()
    assert (answer["id"], answer["model_name"]) == ("7", NAME)
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("late", "FP32", [3, 1])
    np.testing.assert_allclose(output["data"], scores, atol=1e-6)
    assert rest.get("/v2/health/ready").json() == {"ready": True}
    described = rest.get(f"/v2/models/{NAME}").json()
    assert [t["name"] for t in described["inputs"]] == ["features"]


def test_a_wrong_shape_says_what_was_expected(rest: httpx.Client) -> None:
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
    answer = rest.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor]})
    assert answer.status_code == 400
    assert "features" in answer.json()["error"]
    assert "3" in answer.json()["error"]


def test_nobody_is_answered_without_a_token(platform: RunningPlatform, rest: httpx.Client) -> None:
    answer = httpx.post(
        f"{platform.endpoints['inference_rest']}/v2/models/{NAME}/infer", json={"inputs": []}, timeout=150
    )
    assert answer.status_code == 401


def test_an_unmodified_grpc_client(
    platform: RunningPlatform,
    rest: httpx.Client,
    alice: modelog.Client,
    expected: tuple[list[list[float]], list[float]],
) -> None:
    """The PyPI client `open-inference-grpc`, in a process of its own: its contracts and ours do not go into one."""
    rows, scores = expected
    token = alice.authorization["Authorization"].removeprefix("Bearer ")
    command = [sys.executable, str(CLIENT), platform.endpoints["inference_grpc"], token, NAME, json.dumps(rows)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["live"], told["ready"], told["model_ready"], told["id"]) == (True, True, True, "42")
    np.testing.assert_allclose(told["answers"], scores, atol=1e-6)
    np.testing.assert_allclose(told["raw"], scores, atol=1e-6)
    assert told["refused"].startswith("NOT_FOUND")


def test_the_rest_interface_describes_itself(platform: RunningPlatform) -> None:
    """OpenAPI 3 that is valid, and that names what the SDK calls."""
    found = httpx.get(f"{platform.endpoints['web']}/openapi.json", timeout=150)
    document = found.raise_for_status().json()
    validate(document)
    paths = {path.split("?")[0] for path in document["paths"]}
    assert {"/api/v1/models", "/api/v1/jobs", "/api/v1/deployments", "/api/v1/events"} <= paths
