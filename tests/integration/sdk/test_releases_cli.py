"""Releases, rollbacks and traffic from the command line; what is decided is tested where there is traffic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import modelog
import pytest
from modelog.types import Signature, TensorSpec
from typer.testing import Result
from xgboost import DMatrix, train

SIGNATURE = Signature(
    inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 1], columns=["x"])],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])],
)


@pytest.fixture
def served(alice: modelog.Client, tmp_path: Path) -> str:
    """A deployment of a model with two versions, of which the first has the traffic."""
    name = f"released-{uuid4().hex[:8]}"
    file = tmp_path / "model.ubj"
    data = DMatrix([[0.0], [1.0]], [0, 1], feature_names=["x"])
    train({"objective": "binary:logistic", "nthread": 1}, data, 1).save_model(file)
    stored = alice.artifacts.upload(file)
    alice.models.create(name)
    for _ in range(2):
        alice.models.register(name, stored, flavor="xgboost", signature=SIGNATURE)
    alice.deployments.create(name, name, "1.0.0", "dev")
    return name


def test_a_release_is_started_seen_stopped_and_undone(run_as: Callable[..., Result], served: str) -> None:
    start = ("release", "start", served, "1.1.0", "--steps", "10,50,100")
    assert "a canary must prove something" in run_as("alice", *start, status=1).stderr
    assert "--effect: needs --outcome" in run_as("alice", *start, "--effect", "0.1", status=1).stderr
    begun = run_as("alice", *start, "--errors", "0.01", "-m", "newer").output
    assert f"Release 1: 1.1.0 has 10 % of the traffic of {served}." in begun
    shown = run_as("bob", "release", "show", served).output
    assert "canary" in shown
    assert "errors: 0.000% against 0.000%, difference +0.000 points (-100.000 to +100.000, margin 1)" not in shown
    found = json.loads(run_as("bob", "release", "show", served, "--json").output)
    assert (found["candidate"], found["state"], found["percent"]) == ("1.1.0", "RELEASE_STATE_RUNNING", 10)
    assert "started" in run_as("bob", "release", "looks", served).output
    assert "1.1.0    10 %" in run_as("bob", "traffic", served).output.replace("│", " ")
    back = run_as("alice", "rollback", served, "-m", "complaints").output
    assert "100 %" in back
    listed = json.loads(run_as("bob", "release", "list", served, "--json").output)
    assert [r["reason"] for r in listed] == ["rolled back by alice: complaints"]
    then = run_as("bob", "release", "show", served, "--json", "--as-of", found["position"])
    assert json.loads(then.output) == found

    assert "1.1.0" in run_as("alice", "traffic", served, "1.1.0=100").output
    assert "1.0.0" in run_as("alice", "rollback", served, "--to", "1.0.0").output
    assert "never answered" in run_as("alice", "rollback", served, "--to", "9.0.0", status=1).stderr
    rolling = ("release", "start", served, "1.1.0", "--pattern", "rolling", "--step-requests", "50")
    assert "Release 2: 1.1.0 has 10 %" in run_as("alice", *rolling).output
    assert f"Release 2 of {served} is stopped." in run_as("alice", "release", "stop", served).output
    assert "nothing was released yet" in run_as("bob", "release", "list", "other").output
