"""Experiments, runs, curves and search through the SDK and the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import modelog
import pytest
from modelog.cli.main import app
from modelog.types import Condition, Order
from small_platform import SmallPlatform
from typer.testing import CliRunner, Result


def test_a_curve_comes_back_whole(alice: modelog.Client) -> None:
    alice.runs.experiment("curves")
    run = alice.runs.start("curves")
    alice.runs.log_metrics(run.id, {"loss": [0.9, 0.5, math.nan]}, times_ms=[5, 6, 7])
    alice.runs.log_metrics(run.id, {"loss": [0.4]}, first_step=3)
    curve = alice.runs.history(run.id, "loss")
    thin = alice.runs.thinned(run.id, "loss")
    assert (str(thin.points), thin.total, thin.lowest, thin.not_finite) == (str(curve), 4, 0.4, 1)
    assert alice.runs.thinned(run.id, "loss", steps=(0, 0)).total == 1
    assert (curve.steps, curve.times_ms[:3], str(curve.values)) == ([0, 1, 2, 3], [5, 6, 7], "[0.9, 0.5, nan, 0.4]")
    whole = alice.runs.get(run.id)
    assert (whole.metrics, whole.last_points[0].step) == ({"loss": 0.4}, 3)
    before = alice.runs.get(run.id, as_of=str(run.position))
    assert not before.metrics
    assert alice.runs.history(run.id, "loss", as_of=str(run.position)).steps == []


def test_a_run_changes_after_its_end(alice: modelog.Client) -> None:
    alice.runs.experiment("changes")
    run = alice.runs.start("changes")
    alice.runs.end(run.id)
    assert alice.runs.tag(run.id, {"note": "good"}).tags == {"note": "good"}
    assert alice.runs.rename(run.id, "best").name == "best"
    assert alice.runs.resume(run.id).ended_at is None
    alice.runs.delete(run.id)
    with pytest.raises(modelog.NotAllowed, match="is deleted"):
        alice.runs.log(run.id, parameters={"a": 1})
    assert alice.runs.restore(run.id).deleted_at is None


def test_runs_are_searched(alice: modelog.Client) -> None:
    experiment = alice.runs.experiment("searched")
    for n in range(3):
        run = alice.runs.start("searched", name=f"r{n}", tags={"team": "air"})
        alice.runs.log_metrics(run.id, {"auc": [n / 10]})
    team = Condition(field="FIELD_TAG", key="team", comparison="COMPARISON_EQUAL", text="air")
    auc = Condition(field="FIELD_METRIC", key="auc", comparison="COMPARISON_GREATER", number=0.05)
    best = [Order(field="FIELD_METRIC", key="auc", descending=True)]
    found = alice.runs.search([team, auc], experiment_ids=[experiment.id], order_by=best)
    assert [r.name for r in found] == ["r2", "r1"]
    assert alice.runs.search([team], as_of=str(experiment.position)) == []


def test_an_experiment_is_renamed_hidden_and_restored(alice: modelog.Client) -> None:
    made = alice.runs.experiment("old name")
    assert alice.runs.update_experiment(made.id, name="new name", description="why").description == "why"
    alice.runs.delete_experiment(made.id)
    assert "new name" not in [e.name for e in alice.runs.experiments()]
    assert alice.runs.restore_experiment(made.id).name == "new name"


def test_the_command_line_searches_and_deletes(
    platform: SmallPlatform, alice: modelog.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_URL", platform.url)
    monkeypatch.setenv("MODELOG_TOKEN", platform.token("alice", "developer"))
    monkeypatch.setenv("COLUMNS", "250")
    experiment = alice.runs.experiment("typed")
    run = alice.runs.start("typed", tags={"team": "rail"})
    alice.runs.log_metrics(run.id, {"auc": [0.8]})

    def say(*words: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == status, result.output
        return result.output

    assert run.id in say("run", "search", "metric.auc>0.7", "tag.team='rail'", "--order", "metric.auc")
    assert "no run is like that" in say("run", "search", "metric.auc>0.9", "tag.team=rail")
    assert "is no condition" in say("run", "search", "auc > 0.9", status=1)
    assert "write a number" in say("run", "search", "metric.auc>good", status=1)
    say("run", "delete", run.id)
    assert "no run is like that" in say("run", "search", "tag.team=rail")
    assert run.id in say("run", "search", "tag.team=rail", "--view", "deleted")
    say("run", "restore", run.id)
    assert experiment.id in say("experiment", "list")
    say("experiment", "rename", experiment.id, "typed anew")
    say("experiment", "delete", experiment.id)
    assert "typed anew" not in say("experiment", "list")
    say("experiment", "restore", experiment.id)


def test_runs_and_models_are_found_by_words(run_as: Callable[..., Result], alice: modelog.Client) -> None:
    alice.runs.experiment("words")
    made = alice.runs.start("words", "Größerer Wald", tags={"sea": "breeze"})
    alice.models.create("wordy", "Versucht den Fluss")
    for text in ("größerer wa", "GROSSERER WALD"):
        assert [r.id for r in alice.runs.search(text=text)] == [made.id]
    assert alice.runs.search(text="größerer fluss") == []
    assert made.id in run_as("alice", "run", "search", "--text", "breeze wald").output
    assert [m.name for m in alice.models.search(text="den flu")] == ["wordy"]
    found = json.loads(run_as("alice", "model", "list", "--text", "fluss", "--json").output)
    assert [m["name"] for m in found] == ["wordy"]
