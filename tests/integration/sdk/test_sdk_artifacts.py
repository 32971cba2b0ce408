"""Files of runs and logged models through the SDK and the command line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import modelog
import pytest
from modelog.types import Condition, LoggedModelMetric, MeasuredOn, Order
from small_platform import SmallPlatform
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


class Stopped(Exception):
    """Somebody pulled the plug."""


def test_an_upload_that_breaks_off_goes_on_where_the_platform_has_it(
    platform: SmallPlatform, alice: modelog.Client, tmp_path: Path
) -> None:
    content = os.urandom(1_000_003)
    file = tmp_path / "big.bin"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    def until_half(done: int, of: int) -> None:
        if done * 2 > of:
            raise Stopped

    with pytest.raises(Stopped):
        alice.artifacts.upload(file, part_bytes=100_000, on_progress=until_half)
    with pytest.raises(modelog.NotFound):
        alice.artifacts.download(digest, tmp_path / "early")
    platform.stop()
    platform.start()
    told: list[tuple[int, int]] = []
    with platform.client("alice", "developer", "reviewer") as client:
        stored = client.artifacts.upload(file, part_bytes=150_000, on_progress=lambda *far: told.append(far))
        assert told == [(at, len(content)) for at in (600_000, 750_000, 900_000, 1_000_003)]
        assert (stored.digest, stored.size_bytes) == (digest, len(content))
        assert client.artifacts.download(digest, tmp_path / "back").read_bytes() == content
        told.clear()
        client.artifacts.upload(file, part_bytes=150_000, on_progress=lambda *far: told.append(far))
        assert told == [(len(content), len(content))], "what is there is not sent again"


def test_a_file_that_changes_while_it_is_sent_is_refused(alice: modelog.Client, tmp_path: Path) -> None:
    file = tmp_path / "changing.bin"
    file.write_bytes(bytes(300_000))

    def change(done: int, of: int) -> None:
        file.write_bytes(b"1" * of)

    with pytest.raises(modelog.Invalid, match="nothing was stored"):
        alice.artifacts.upload(file, part_bytes=100_000, on_progress=change)
    stored = alice.artifacts.upload(file, part_bytes=100_000)
    assert stored.digest == hashlib.sha256(b"1" * 300_000).hexdigest()


def test_the_command_line_stores_and_fetches_files(
    alice: modelog.Client, run_as: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("notes")
    alice.runs.experiment("by hand")
    run = alice.runs.start("by hand")
    said = run_as("alice", "artifact", "upload", file, "--run", run.id, "--path", "docs/notes.txt").output
    digest = hashlib.sha256(b"notes").hexdigest()
    assert f"docs/notes.txt: 5 bytes, sha-256 {digest}" in said
    assert [file.path for file in alice.runs.get(run.id).artifacts] == ["docs/notes.txt"]
    run_as("alice", "artifact", "download", digest, tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_text() == "notes"


def test_files_of_an_experiment(alice: modelog.Client, run_as: Callable[..., Result], tmp_path: Path) -> None:
    experiment = alice.runs.experiment("with files")
    files = [alice.artifacts.upload_bytes(path.encode(), path) for path in ("sets/a", "sets/b", "c")]
    alice.runs.add_experiment_artifacts(experiment.id, files)
    assert [file.path for file in alice.runs.experiment_artifacts(experiment.id, "sets")] == ["sets/a", "sets/b"]
    alice.runs.remove_experiment_artifacts(experiment.id, ["sets/a"])
    (tmp_path / "notes.txt").write_text("notes")
    run_as("alice", "experiment", "add-file", experiment.id, tmp_path / "notes.txt", "--path", "docs/notes.txt")
    assert "docs/notes.txt" in run_as("alice", "experiment", "files", experiment.id, "--path", "docs").output
    assert "docs is off the experiment" in run_as("alice", "experiment", "remove-files", experiment.id, "docs").output
    with pytest.raises(modelog.NotFound, match="there is no experiment 'none'"):
        alice.runs.experiment_artifacts("none")
    lost = modelog.types.Artifact(path="x", digest="0" * 64, size_bytes=1)
    with pytest.raises(modelog.Invalid, match="upload it first"):
        alice.runs.add_experiment_artifacts(experiment.id, [lost])
