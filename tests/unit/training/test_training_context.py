"""What a job's code may call, and what it is told when it calls it wrongly."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog.training import Context, LocalRun, local_context, signature_of
from modelog.types import Signature, TensorSpec

SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2], "columns": ["hour", "wind"]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
}


@pytest.fixture
def run(tmp_path: Path) -> LocalRun:
    return LocalRun(tmp_path / "kept")


@pytest.fixture
def context(run: LocalRun) -> Context:
    return local_context(run, {"depth": 6}, {"flights": ["a.parquet", "b.parquet"], "weather": ["c.parquet"]}, cpus=2)


def test_data_comes_by_name_and_in_order(context: Context) -> None:
    assert context.datasets["flights"] == [Path("a.parquet"), Path("b.parquet")]
    assert context.dataset_paths == [Path("a.parquet"), Path("b.parquet"), Path("c.parquet")]
    assert (context.params, context.cpus) == ({"depth": 6}, 2)


def test_metrics_are_kept_whatever_their_value(context: Context, run: LocalRun) -> None:
    context.log_metric("auc", 0.5)
    context.log_metrics({"auc": np.float32(0.75), "loss": math.nan}, step=np.int64(3))
    assert run.metrics["auc"] == 0.75
    assert math.isnan(run.metrics["loss"])
    assert [point["step"] for point in run.points] == [0, 3, 3]
    assert all(type(point["step"]) is int for point in run.points)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("auc", "0.5"), "the metric 'auc' must be a number, not '0.5'"),
        (("auc", None), "the metric 'auc' must be a number, not None"),
        (("", 0.5), "name must be a text of 1 to 250 characters, not ''"),
        ((3, 0.5), "name must be a text of 1 to 250 characters, not 3"),
        (("auc", 0.5, 1.5), "step of the metric 'auc' must be a whole number, not 1.5"),
        (("auc", 0.5, 2**63), "step of the metric 'auc' must be a whole number"),
    ],
)
def test_a_wrong_metric_is_refused(context: Context, arguments: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        context.log_metric(*arguments)


def test_more_parameters_may_be_told(context: Context, run: LocalRun) -> None:
    context.log_params({"rows": 3, "depth": 6})
    context.log_params({"rows": 3})
    assert run.logged_params == {"rows": 3, "depth": 6}


def test_a_known_parameter_does_not_change(context: Context) -> None:
    with pytest.raises(ValueError, match=r"the parameter 'depth' is 6 and cannot become 7; use another name"):
        context.log_params({"depth": 7})


@pytest.mark.parametrize("value", [math.nan, object()])
def test_a_parameter_is_what_json_can_hold(context: Context, value: Any) -> None:
    with pytest.raises(ValueError, match=r"the parameter 'odd' is .*, which JSON cannot hold"):
        context.log_params({"odd": value})


def test_files_are_kept_as_they_are_now(context: Context, run: LocalRun, tmp_path: Path) -> None:
    plot = tmp_path / "roc.png"
    plot.write_text("first")
    context.log_artifact(plot, "plots/roc.png")
    plot.write_text("second")
    context.log_artifact(str(plot))
    assert [file.read_text() for file in run.artifacts] == ["first", "second"]
    assert run.artifacts[0].relative_to(run.folder) == Path("plots/roc.png")


def test_a_file_that_is_not_there_is_named(context: Context, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path: .*absent.txt is not a file; write it first"):
        context.log_artifact(tmp_path / "absent.txt")


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a//b", "a\\b", "."])
def test_an_artifact_stays_inside_its_run(context: Context, tmp_path: Path, name: str) -> None:
    file = tmp_path / "f"
    file.touch()
    with pytest.raises(ValueError, match="is not a relative path with / between its parts"):
        context.log_artifact(file, name)


def test_the_last_model_that_is_saved_is_the_jobs(context: Context, run: LocalRun, tmp_path: Path) -> None:
    for word in ("first", "second"):
        (tmp_path / "m.ubj").write_text(word)
        context.save_model(tmp_path / "m.ubj", flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.7})
    assert run.model_file is not None
    assert run.model_file.read_text() == "second"
    assert run.flavor == "xgboost"
    assert run.signature == signature_of(SIGNATURE)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"flavor": ""}, "flavor must be a text of 1 to 50 characters such as 'xgboost'"),
        ({"metrics": {"auc": "high"}}, "the metric 'auc' must be a number"),
        ({"signature": {"inputs": [], "outputs": SIGNATURE["outputs"]}}, "signature: inputs is empty"),
        ({"signature": {"inputs": SIGNATURE["inputs"]}}, "signature: outputs is empty"),
        (
            {"signature": {**SIGNATURE, "inputs": [{"name": "x"}]}},
            r"signature: Object missing required field `datatype` - at `\$.inputs\[0\]`",
        ),
        ({"signature": {**SIGNATURE, "inputs": SIGNATURE["inputs"] * 2}}, "two of the inputs have the same name"),
    ],
)
def test_a_wrong_model_is_refused(context: Context, tmp_path: Path, more: dict[str, Any], error: str) -> None:
    file = tmp_path / "m"
    file.touch()
    with pytest.raises(ValueError, match=error):
        context.save_model(file, **{"flavor": "xgboost", "signature": SIGNATURE, **more})


def test_a_signature_may_be_the_sdks_own() -> None:
    own = Signature(inputs=[TensorSpec(name="x", datatype="FP32")], outputs=[TensorSpec(name="y", datatype="FP32")])
    assert signature_of(own) == own


def test_progress_is_a_share(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    context.progress(0.25, "a quarter")
    assert capsys.readouterr().out == "[ 25%] a quarter\n"
    with pytest.raises(ValueError, match=r"fraction must be from 0 to 1, not 1\.5"):
        context.progress(1.5)


def test_a_file_that_is_in_the_folder_already_stays(context: Context, run: LocalRun) -> None:
    run.folder.mkdir()
    file = run.folder / "gains.json"
    file.write_text(json.dumps({}))
    context.log_artifact(file)
    assert run.artifacts == [file]
