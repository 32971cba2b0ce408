"""The training job: what it fits, measures, logs and refuses."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from flights.compare import auc
from flights.features import FEATURES
from flights.train import Settings, fit, held_out, labels_of, main, matrix_of, read_months, score, signature
from polars.testing import assert_frame_equal

QUICK = Settings(rounds=20)


class Recorded:
    """A training context that keeps what a job hands over, and reads files at once, as the platform does."""

    def __init__(self, params: Mapping[str, Any], datasets: Mapping[str, Sequence[Path]]) -> None:
        self.params = params
        self.datasets = datasets
        self.metrics: list[tuple[str, float, int | None]] = []
        self.artifacts: dict[str, bytes] = {}
        self.models: list[tuple[bytes, str, Mapping[str, Any]]] = []

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        self.metrics.append((name, value, step))

    def log_artifact(self, path: Path) -> None:
        self.artifacts[path.name] = path.read_bytes()

    def save_model(self, path: Path, *, flavor: str, signature: Mapping[str, Any]) -> None:
        self.models.append((path.read_bytes(), flavor, signature))


@pytest.fixture(scope="module")
def january(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.filter(pl.col("month") == 1)


@pytest.fixture(scope="module")
def recorded(flights: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("months")
    files = {f"flights-{month:02}": folder / f"{month}.parquet" for month in (2, 1)}
    for month, file in zip((2, 1), files.values(), strict=True):
        flights.filter(pl.col("month") == month).write_parquet(file)
    context = Recorded({"rounds": 20, "threads": 1}, {name: [file] for name, file in files.items()})
    main(context)
    return context


def test_the_job_logs_its_metrics_and_the_curve(recorded: Recorded) -> None:
    last = {name: value for name, value, step in recorded.metrics if step is None}
    assert last["rows"] == 50_009
    assert last["held_out_auc_low"] < last["held_out_auc"] < last["held_out_auc_high"]
    assert last["held_out_auc"] > 0.65
    curve = [(step, value) for name, value, step in recorded.metrics if name == "held_out_log_loss_by_tree"]
    assert [step for step, _ in curve] == [10, 20]
    assert curve[1][1] < curve[0][1]


def test_the_job_saves_a_model_that_scores(recorded: Recorded, flights: pl.DataFrame) -> None:
    ((model, flavor, given),) = recorded.models
    assert flavor == "xgboost"
    assert given["inputs"][0]["columns"] == list(FEATURES)
    assert given["inputs"][0]["kinds"].count("categorical") == 3
    loaded = xgb.Booster()
    loaded.load_model(bytearray(model))
    march = flights.filter((pl.col("month") == 3) & pl.col("label").is_not_null())
    assert loaded.feature_names == list(FEATURES)
    assert auc(labels_of(march), score(loaded, march)).value > 0.65


def test_the_job_keeps_the_reference_and_the_gains(recorded: Recorded) -> None:
    reference = pl.read_parquet(recorded.artifacts["reference.parquet"])
    assert reference["score"].is_between(0, 1).all()
    assert held_out(reference["prediction_id"]).all()
    assert set(json.loads(recorded.artifacts["gains.json"])) <= set(FEATURES)


def test_months_are_read_in_the_order_in_which_they_were_built(recorded: Recorded, flights: pl.DataFrame) -> None:
    rows = read_months([path for paths in recorded.datasets.values() for path in paths])
    assert_frame_equal(rows, flights.filter(pl.col("month") <= 2))


def test_the_same_rows_give_the_same_model_whatever_the_threads_and_seed(january: pl.DataFrame) -> None:
    one, two = fit(january, QUICK), fit(january, Settings(rounds=20, threads=2, seed=99))
    assert one.metrics == two.metrics
    assert np.array_equal(score(one.booster, january), score(two.booster, january))


def test_what_is_measured_was_not_trained_on(january: pl.DataFrame) -> None:
    """With labels that mean nothing, a model that had seen its held-out flights would still rank them."""
    rng = np.random.default_rng(5)
    noise = january.with_columns(label=pl.Series(rng.integers(0, 2, january.height), dtype=pl.Int8))
    fitted = fit(noise, Settings(rounds=100, max_depth=10))
    assert fitted.metrics["held_out_auc_low"] < 0.5 < fitted.metrics["held_out_auc_high"]
    learned = fitted.reference
    assert auc(labels_of(learned), score(fitted.booster, learned)).value > 0.8


def test_a_flight_without_a_label_is_left_out(january: pl.DataFrame) -> None:
    assert fit(january, QUICK).metrics["rows"] == january["label"].is_not_null().sum()


def test_a_fifth_is_held_out_by_id_alone(flights: pl.DataFrame) -> None:
    held = held_out(flights["prediction_id"])
    assert held.mean() == pytest.approx(0.2, abs=0.005)
    assert held_out(flights["prediction_id"].reverse()).reverse().equals(held)


def test_features_go_in_as_float32(january: pl.DataFrame) -> None:
    assert matrix_of(january).dtype == np.float32
    assert matrix_of(january).shape == (january.height, 23)
    assert signature()["inputs"][0]["shape"] == [-1, 23]


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"depth": 3}, "unknown parameter 'depth'; allowed: learning_rate, max_depth, rounds, seed, threads"),
        ({"rounds": 0}, "rounds must be a whole number from 1 to 5000, not 0"),
        ({"threads": "two"}, "threads must be a whole number from 1 to 256, not 'two'"),
        ({"max_depth": True}, "max_depth must be a whole number from 1 to 16, not True"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0 and at most 1, not 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number above 0 and at most 1, not 'fast'"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        Settings.of(params)


def test_one_class_cannot_be_learned(january: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="both classes"):
        fit(january.filter(pl.col("label") == 0), QUICK)
