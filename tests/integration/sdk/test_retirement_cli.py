"""Retirement and service level targets from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import modelog
from modelog.types import Signature, TensorSpec
from typer.testing import Result

SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP32")], outputs=[TensorSpec(name="y", datatype="FP32")])


def test_retirement_and_targets(run_as: Callable[..., Result], alice: modelog.Client, tmp_path: Path) -> None:
    alice.models.create("tired")
    stored = alice.artifacts.upload_bytes(b"m", "model.ubj")
    alice.models.register("tired", stored, flavor="xgboost", signature=SIGNATURE)
    assert json.loads(run_as("bob", "retirement", "policy").output)["version"] == 0
    rules = tmp_path / "rules.json"
    rule = {"stage": "STAGE_DEVELOPMENT", "condition": "RETIREMENT_CONDITION_UNUSED", "after_days": 0}
    rules.write_text(json.dumps([rule]))
    assert "announce_days" in run_as("alice", "retirement", "policy", "--set", rules, status=1).stderr
    rules.write_text(json.dumps([{**rule, "announce_days": 1}]))
    assert "Version 1" in run_as("alice", "retirement", "policy", "--set", rules, "-m", "tidy").output
    assert "something happened in 1" in run_as("alice", "retirement", "check").output
    assert "unused in development since" in run_as("bob", "retirement", "list", "tired").output
    assert "is kept" in run_as("bob", "retirement", "object", "tired", "1.0.0", "-m", "needed").output
    found = json.loads(run_as("bob", "retirement", "list", "--state", "objected", "--json").output)
    assert [(r["version"], r["ended_by"], r["ended_because"]) for r in found] == [("1.0.0", "bob", "needed")]
    run_as("alice", "retirement", "policy", "--set", _empty(tmp_path))

    assert "Nothing is promised" in run_as("bob", "model", "sla", "tired").output
    run_as("alice", "model", "sla", "tired", "--p99-ms", "20", "--availability", "99.9", "-m", "agreed")
    assert "99.9" in run_as("bob", "model", "sla", "tired").output
    first = json.loads(run_as("bob", "model", "sla", "tired", "--json").output)
    run_as("alice", "model", "sla", "tired", "--freshness-hours", "24")
    then = json.loads(run_as("bob", "model", "sla", "tired", "--json", "--as-of", first["position"]).output)
    assert then == first
    assert [sla.version for sla in alice.slas.list("tired")] == [2, 1]


def _empty(folder: Path) -> Path:
    file = folder / "none.json"
    file.write_text("[]")
    return file
