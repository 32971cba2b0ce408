"""A benchmark's code: quality with intervals, two models on the same rows, batches of every size, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from modelog.training import LocalRun, StoredModel, local_context
from modelog_stats.delong import compare_auc
from modelog_training.benchmark.footprint import measure
from modelog_training.benchmark.main import features_of, main
from modelog_training.benchmark.predictor import load
from modelog_training.benchmark.quality import compared, quality
from modelog_training.benchmark.timing import FEWEST_CALLS, timings
from onnx import TensorProto, helper

FEATURES = ["wind", "hour"]
ROWS = 400


def rows(seed: int = 1) -> pl.DataFrame:
    """A label that follows from both features; the columns stand in another order than models take them."""
    rng = np.random.default_rng(seed)
    hour, wind = rng.random(ROWS), rng.random(ROWS)
    label = (hour + wind + rng.normal(0, 0.2, ROWS) > 1).astype(int)
    return pl.DataFrame({"label": label, "hour": hour, "wind": wind, "carrier": ["a"] * ROWS})


def stored(folder: Path, version: str, features: list[str], rounds: int = 10) -> StoredModel:
    table = rows(0)
    data = xgb.DMatrix(table.select(features).to_numpy(), table["label"].to_numpy(), feature_names=features)
    file = folder / f"{version}.ubj"
    xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, rounds).save_model(file)
    return StoredModel("delay", version, "xgboost", str(file), features)


def as_lightgbm(folder: Path) -> tuple[StoredModel, Any]:
    table = rows(0)
    data = lightgbm.Dataset(table.select(FEATURES).to_numpy(), table["label"].to_numpy())
    booster = lightgbm.train({"objective": "binary", "num_leaves": 6, "num_threads": 1, "verbosity": -1}, data, 5)
    file = folder / "model.lgb"
    booster.save_model(file)
    return StoredModel("delay", "2.0.0", "lightgbm", str(file), FEATURES), booster.predict


def as_onnx(folder: Path) -> StoredModel:
    """The mean of both features."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["late"], axes=[1], keepdims=1)],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("late", TensorProto.FLOAT, ["rows", 1])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file = folder / "model.onnx"
    file.write_bytes(made.SerializeToString())
    return StoredModel("delay", "3.0.0", "onnx", str(file), FEATURES)


def run(folder: Path, models: list[StoredModel], **params: Any) -> dict[str, float]:
    file = folder / "rows.parquet"
    rows().write_parquet(file)
    local = LocalRun(folder)
    whole = {"label": "label", "batch_sizes": [1, 50], "seconds": 0.01, **params}
    main(local_context(local, whole, {"flights": [file]}, models=models))
    return local.metrics


def test_everything_is_measured_of_both_versions_on_the_same_rows(tmp_path: Path) -> None:
    both, one = stored(tmp_path, "1.1.0", FEATURES), stored(tmp_path, "1.0.0", ["hour"])
    found = run(tmp_path, [both, one])
    scores = xgb.Booster(model_file=both.file).inplace_predict(rows().select(FEATURES).to_numpy().astype(np.float32))
    wanted = quality(rows()["label"].to_numpy().astype(float), scores.astype(float))
    assert {name: found[name] for name in wanted} == wanted
    assert 0.8 < found["auc_lower"] < found["auc"] < found["auc_upper"] < 1
    assert found["rows"] == ROWS
    assert found["size_bytes"] == both.path.stat().st_size
    for prefix in ("", "against/"):
        assert found[f"{prefix}load_s"] > 0
        assert found[f"{prefix}memory_bytes"] >= 0
        for size in (1, 50):
            p50, p95, p99 = (found[f"{prefix}latency_p{percent}_ms/{size}"] for percent in (50, 95, 99))
            assert 0 < p50 <= p95 <= p99
            assert found[f"{prefix}rows_per_s/{size}"] > 0
    assert found["auc"] > found["against/auc"]
    assert found["difference/auc"] == pytest.approx(found["auc"] - found["against/auc"])
    assert found["difference/auc_lower"] > 0
    assert found["difference/auc_p"] < 0.001
    assert found["difference/log_loss_upper"] < 0


def test_models_of_other_frameworks_are_measured_with_their_own_numbers(tmp_path: Path) -> None:
    (trees, predict), mean = as_lightgbm(tmp_path), as_onnx(tmp_path)
    table = rows().select(FEATURES).to_numpy()
    for model, expected in ((trees, predict(table)), (mean, table.astype(np.float32).mean(axis=1))):
        predictor = load(model)
        np.testing.assert_array_equal(predictor.scores(features_of(rows(), predictor)), expected)
        assert measure(model, features_of(rows(), predictor))["load_s"] > 0


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # This is how Python is told that a package cannot be imported.
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ValueError, match=r"delay 2.0.0 needs lightgbm: pip install 'modelog-training\[lightgbm\]'"):
        load(as_lightgbm(tmp_path)[0])


def test_differences_are_paired_and_those_of_delong() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(200) < 0.4).astype(float)
    a, b = rng.random(200), np.clip(rng.random(200) * 0.5 + labels * 0.4, 0, 1)
    found, delong = compared(labels, against=a, of=b), compare_auc(labels, a, b)
    assert (found["auc"], found["auc_lower"], found["auc_p"]) == (delong.estimate, delong.low, delong.p_value)
    assert found["brier"] == pytest.approx(np.mean((b - labels) ** 2) - np.mean((a - labels) ** 2))
    same = compared(labels, against=a, of=a)
    assert (same["auc"], same["log_loss"], same["log_loss_p"]) == (0, 0, 1)
    assert "auc" not in quality(np.zeros(10), np.full(10, 0.2))


def test_models_take_turns_and_few_rows_fill_a_batch(tmp_path: Path) -> None:
    predictors = [load(stored(tmp_path, version, FEATURES, rounds=2)) for version in ("1.0.0", "1.1.0")]
    table = np.ones((3, 2), np.float32)
    asked: list[str] = []

    class Spied:
        def __init__(self, name: str, inner: Any) -> None:
            self.name, self.inner = name, inner

        def scores(self, batch: Any) -> Any:
            assert len(batch) == 8
            asked.append(self.name)
            return self.inner.scores(batch)

    spied: Any = [Spied(name, inner) for name, inner in zip("ab", predictors, strict=True)]
    found = timings(spied, [table, table], [8], 0.0)
    assert len(found) == 2
    timed = asked[-2 * FEWEST_CALLS :]
    assert timed == ["a", "b"] * FEWEST_CALLS


@pytest.mark.parametrize(
    ("change", "params", "text"),
    [
        ({"flavor": "sklearn"}, {}, "delay 1.0.0 is of flavor 'sklearn'"),
        ({"features": []}, {}, "nobody knows which columns it takes"),
        ({"features": ["hour", "sleet"]}, {}, "lacks the columns sleet that delay 1.0.0 takes"),
        ({}, {"label": "late"}, "there is no column 'late'; there are label, hour"),
        ({}, {"label": "hour"}, "labels are 0 or 1"),
    ],
)
def test_what_cannot_be_measured_is_said(
    tmp_path: Path, change: dict[str, Any], params: dict[str, Any], text: str
) -> None:
    model = stored(tmp_path, "1.0.0", FEATURES)
    for name, value in change.items():
        setattr(model, name, value)
    with pytest.raises(ValueError, match=text):
        run(tmp_path, [model], **params)
