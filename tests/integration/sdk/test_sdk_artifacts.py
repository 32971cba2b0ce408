"""Files of runs and logged models through the SDK and the command line."""

from __future__ import annotations

from collections.abc import Callable

import modelog
import pytest
from modelog.types import Condition, LoggedModelMetric, MeasuredOn, Order
from typer.testing import Result


def test_files_are_taken_off_a_run_and_a_logged_model(alice: modelog.Client, run_as: Callable[..., Result]) -> None:
    alice.runs.experiment("removed")
    run = alice.runs.start("removed")
    files = [alice.artifacts.upload_bytes(path.encode(), path) for path in ("a/1", "a/2", "b", "c")]
    before = alice.runs.log(run.id, artifacts=files)
    assert [file.path for file in alice.runs.remove_artifacts(run.id, ["a"]).artifacts] == ["b", "c"]
    said = run_as("alice", "run", "remove-artifacts", run.id, "b")
    assert f"run {run.id} has 1 files left" in said.output
    assert len(alice.runs.get(run.id, as_of=str(before.position)).artifacts) == 4
    with pytest.raises(modelog.NotFound, match="has no file and no folder 'a'"):
        alice.runs.remove_artifacts(run.id, ["a"])
    model = alice.logged_models.create(run.experiment_id, "tree")
    alice.logged_models.add(model.id, artifacts=files)
    assert len(alice.logged_models.remove_artifacts(model.id, ["a/1"]).artifacts) == 3
    run_as("alice", "logged-model", "remove-artifacts", model.id, "a", "b")
    assert "c " in run_as("alice", "logged-model", "show", model.id).output


def test_logged_models_by_dataset(alice: modelog.Client, run_as: Callable[..., Result]) -> None:
    experiment = alice.runs.experiment("measured")
    for name, value in (("low", 0.1), ("high", 0.9)):
        model = alice.logged_models.create(experiment.id, name)
        auc = LoggedModelMetric(name="auc", value=value, dataset_name="holdout", dataset_digest="d1")
        alice.logged_models.add(model.id, metrics=[auc])
    alice.logged_models.create(experiment.id, "unmeasured")
    holdout = MeasuredOn(dataset_name="holdout")
    best = Order(field="FIELD_METRIC", key="auc", descending=True, dataset_name="holdout")
    found = alice.logged_models.search(datasets=[holdout], order_by=[best])
    assert [model.name for model in found] == ["high", "low"]
    good = Condition(field="FIELD_METRIC", key="auc", comparison="COMPARISON_GREATER", number=0.5)
    assert [model.name for model in alice.logged_models.search([good], datasets=[holdout])] == ["high"]
    other = MeasuredOn(dataset_name="holdout", dataset_digest="d2")
    assert alice.logged_models.search([good], datasets=[other]) == []
    listed = run_as("alice", "logged-model", "list", "--dataset", "holdout").output
    assert "high" in listed
    assert "unmeasured" not in listed
    by_name = Order(field="FIELD_ATTRIBUTE", key="name", dataset_name="holdout")
    with pytest.raises(modelog.Invalid, match="measured on no dataset"):
        alice.logged_models.search(order_by=[by_name])
