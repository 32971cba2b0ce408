"""A/B tests from the command line, and their report; what is decided is tested where there is traffic."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import modelog
import pytest
from modelog.ab_report import write_ab_report
from modelog.ab_test import AbLook, AbMeasured, AbSampleSize, AbTest
from modelog.types import Signature, TensorSpec
from typer.testing import Result
from xgboost import DMatrix, train

SIGNATURE = Signature(
    inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, 1], columns=["x"])],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])],
)
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def served(alice: modelog.Client, tmp_path: Path) -> str:
    """A deployment with two versions, of which one has the traffic."""
    name = f"tested-{uuid4().hex[:8]}"
    file = tmp_path / "model.ubj"
    data = DMatrix([[0.0], [1.0]], [0, 1], feature_names=["x"])
    train({"objective": "binary:logistic", "nthread": 1}, data, 1).save_model(file)
    stored = alice.artifacts.upload(file)
    alice.models.create(name)
    for _ in range(2):
        alice.models.register(name, stored, flavor="xgboost", signature=SIGNATURE)
    alice.deployments.create(name, name, "1.0.0", "dev")
    return name


def test_a_test_is_planned_started_and_stopped(run_as: Callable[..., Result], served: str) -> None:
    create = ("abtest", "create", "newer", served, "1.0.0", "1.1.0", "--effect", "0.02")
    assert "baseline: is needed for the error" in run_as("alice", *create, status=1).stderr
    planned = run_as("alice", *create, "--baseline", "0.2").output
    assert "for one look at the end, and watched all the time about" in planned
    refused = run_as("alice", "abtest", "start", "newer", status=1).stderr
    assert f"`modelog deploy traffic {served} 1.0.0=50 1.1.0=50`" in refused
    draft = json.loads(run_as("bob", "abtest", "show", "newer", "--json").output)
    run_as("alice", "deploy", "traffic", served, "1.0.0=80", "1.1.0=20")
    assert "20 % of its traffic goes to 1.1.0" in run_as("alice", "abtest", "start", "newer").output
    running = json.loads(run_as("bob", "abtest", "show", "newer", "--json").output)
    assert running["needed"]["a"] > draft["needed"]["a"] > running["needed"]["b"]
    assert "it was not looked at yet" in run_as("bob", "abtest", "looks", "newer").output
    assert "running" in run_as("bob", "abtest", "list").output
    run_as("alice", "abtest", "stop", "newer", "-m", "a defect")
    assert "It is stopped: stopped by alice: a defect" in run_as("bob", "abtest", "show", "newer").output
    assert json.loads(run_as("bob", "abtest", "list", "other", "--json").output) == []
    then = run_as("bob", "abtest", "show", "newer", "--json", "--as-of", draft["position"])
    assert json.loads(then.output) == draft


def test_a_test_of_amounts_is_planned_with_its_range_and_its_end(run_as: Callable[..., Result], served: str) -> None:
    create = ("abtest", "create", "richer", served, "1.0.0", "1.1.0", "--effect", "0.5", "--metric", "amount")
    assert "sd: is needed for the amount" in run_as("alice", *create, status=1).stderr
    nothing = run_as("alice", *create, "--measure-s", "3600", status=1).stderr
    assert "measure_s: found 0 predictions of 1.0.0 with a known amount" in nothing
    exact = (*create, "--sd", "1.4", "--method", "exact", "--longest-s", "3600", "--higher-is-better")
    assert "lowest: is needed: an exact test of the amount" in run_as("alice", *exact, status=1).stderr
    assert "watched all the time about" in run_as("alice", *exact, "--lowest", "1", "--highest", "5").output
    run_as("alice", "deploy", "traffic", served, "1.0.0=50", "1.1.0=50")
    assert "% of its traffic goes to 1.1.0. It ends by 20" in run_as("alice", "abtest", "start", "richer").output
    shown = run_as("bob", "abtest", "show", "richer").output
    for told in ("amount", "exact, from 1 to 5", "not given, 1.4", "ends by"):
        assert told in shown
    run_as("alice", "abtest", "stop", "richer", "-m", "a defect")


def test_the_report_says_what_was_measured_and_that_nothing_came_of_it(tmp_path: Path) -> None:
    measured = AbMeasured(since=AT, until=AT, events=15_000, mean=12.5, sd=40.1)
    test = AbTest(
        name="richer", metric="AB_METRIC_AMOUNT", state="AB_STATE_DECIDED", verdict="AB_VERDICT_INCONCLUSIVE",
        reason="it had until 2026-01-02", measure_s=3600, measured=measured, ends_by=AT,
    )  # fmt: skip
    page = write_ab_report(test, [], tmp_path / "ab.html").read_text()
    for told in ("inconclusive: it had until", "measured: 12.5, 40.1 of 15,000 predictions from 2026-01-02", "ends by"):
        assert told in page


def look(number: int, **more: Any) -> AbLook:
    return AbLook(number=number, events_a=100 * number, events_b=90 * number, mean_a=0.2, estimate=-0.03, **more)


def test_the_report_holds_the_plan_the_sequence_and_the_decision(tmp_path: Path) -> None:
    test = AbTest(
        name="<newer>", deployment="flights", model="delay", a="1.0.0", b="1.1.0", metric="AB_METRIC_ERROR",
        min_effect=0.02, alpha=0.05, power=0.8, method="AB_METHOD_MIXTURE_SPRT", state="AB_STATE_DECIDED",
        verdict="AB_VERDICT_B_BETTER", reason="1.1.0 is better than 1.0.0: error rate", share_b=0.5,
        needed=AbSampleSize(a=6510, b=6510, watched=26040), started_by="alice", started_at=AT,
    )  # fmt: skip
    file = write_ab_report(test, [look(1), look(2, low=-0.05, high=-0.01, p_value=0.001)], tmp_path / "ab.html")
    page = file.read_text()
    for told in ("&lt;newer&gt;", "b is better: 1.1.0 is better than", "6,510 of a", "about 26,040", "-0.05 to -0.01"):
        assert told in page
    assert "<newer>" not in page
    assert "Plotly.newPlot" in page
    empty = write_ab_report(AbTest(name="newer", state="AB_STATE_DRAFT"), [], tmp_path / "empty.html").read_text()
    assert "It was not looked at yet." in empty
