"""The training job: gradient-boosted trees on the months that it is given.

A fifth of the flights, chosen by a checksum of their id, is held out to measure the model; the model that is kept
is then fitted on all of them. The held-out flights with their scores are the reference for live windows.
"""

import json
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from flights.compare import Labels, auc, log_loss
from flights.features import CATEGORY_COLUMNS, FEATURES

HOLDOUT_EVERY = 5
CURVE_EVERY = 10

Scores = NDArray[np.float32]


class TrainingContext(Protocol):
    """What the platform hands to a training job."""

    @property
    def params(self) -> Mapping[str, Any]: ...

    @property
    def datasets(self) -> Mapping[str, Sequence[Path]]: ...

    def log_metric(self, name: str, value: float, step: int | None = None) -> None: ...

    def log_artifact(self, path: Path) -> None: ...

    def save_model(self, path: Path, *, flavor: str, signature: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Settings:
    """What may be set: trees, their depth, the learning rate, the seed, and how many threads may work."""

    rounds: int = 300
    max_depth: int = 6
    learning_rate: float = 0.07
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, least, most in (
            ("rounds", 1, 5000),
            ("max_depth", 1, 16),
            ("seed", 0, 2**31 - 1),
            ("threads", 1, 256),
        ):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
        if type(self.learning_rate) not in (int, float) or not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate must be a number above 0 and at most 1, not {self.learning_rate!r}")

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Settings":
        """From a job's parameters. Raises ValueError, which names the parameter that is unknown or out of range."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(params) - known):
            raise ValueError(f"unknown parameter {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        return cls(**params)


@dataclass(frozen=True)
class Fitted:
    """The model fitted on all labelled rows, and what was measured on those held out from its twin.

    metrics: by name. curve: the held-out log loss by number of trees. reference: the held-out rows and their `score`.
    """

    booster: xgb.Booster
    metrics: dict[str, float]
    curve: dict[int, float]
    reference: pl.DataFrame


def fit(rows: pl.DataFrame, settings: Settings) -> Fitted:
    """Fits on the labelled rows of a table made by `features.build`. Raises ValueError when a class is missing."""
    labelled = rows.filter(pl.col("label").is_not_null())
    held = held_out(labelled["prediction_id"])
    learn, check = labelled.filter(~held), labelled.filter(held)
    evaluations: dict[str, dict[str, list[float]]] = {}
    twin = boost(learn, settings, evaluate=check, evaluations=evaluations)
    truth, scores = labels_of(check), score(twin, check)
    measured = auc(truth, scores)
    losses = evaluations["held_out"]["logloss"]
    return Fitted(
        booster=boost(labelled, settings),
        metrics={
            "held_out_auc": measured.value,
            "held_out_auc_low": measured.low,
            "held_out_auc_high": measured.high,
            "held_out_log_loss": log_loss(truth, scores),
            "held_out_rows": float(check.height),
            "rows": float(labelled.height),
            "late_share": float(labels_of(labelled).mean()),
        },
        curve={tree: losses[tree - 1] for tree in range(CURVE_EVERY, len(losses) + 1, CURVE_EVERY)},
        reference=check.with_columns(score=pl.Series(scores)),
    )


def boost(
    rows: pl.DataFrame,
    settings: Settings,
    *,
    evaluate: pl.DataFrame | None = None,
    evaluations: dict[str, dict[str, list[float]]] | None = None,
) -> xgb.Booster:
    """One booster on labelled rows; the held-out log loss after each tree goes into `evaluations`."""
    matrix = xgb.QuantileDMatrix(
        matrix_of(rows), labels_of(rows), feature_names=list(FEATURES), nthread=settings.threads
    )
    watched = []
    if evaluate is not None:
        held = xgb.DMatrix(
            matrix_of(evaluate), labels_of(evaluate), feature_names=list(FEATURES), nthread=settings.threads
        )
        watched.append((held, "held_out"))
    return xgb.train(
        {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_depth": settings.max_depth,
            "learning_rate": settings.learning_rate,
            "seed": settings.seed,
            "nthread": settings.threads,
        },
        matrix,
        num_boost_round=settings.rounds,
        evals=watched,
        evals_result=evaluations,
        verbose_eval=False,
    )


def score(booster: xgb.Booster, rows: pl.DataFrame) -> Scores:
    """The probability that each flight arrives more than 15 minutes late, (rows,) float32."""
    scores: Scores = booster.inplace_predict(matrix_of(rows))
    return scores


def matrix_of(rows: pl.DataFrame) -> NDArray[np.float32]:
    """The features of the rows, (rows, 23) float32, NaN where nothing is known."""
    return rows.select(FEATURES).to_numpy()


def labels_of(rows: pl.DataFrame) -> Labels:
    """The labels, (rows,) int8; every row must have one."""
    return rows["label"].to_numpy()


def held_out(prediction_ids: pl.Series) -> pl.Series:
    """Which flights are held out: a property of the id alone, so the same ones in every training."""
    return pl.Series([zlib.crc32(name.encode()) % HOLDOUT_EVERY == 0 for name in prediction_ids], dtype=pl.Boolean)


def read_months(files: Sequence[Path]) -> pl.DataFrame:
    """The rows of all dataset files in `features.build`'s order, on which the model's last digits depend."""
    return pl.concat([pl.read_parquet(file) for file in files]).sort("event_time", "prediction_id")


def signature() -> dict[str, Any]:
    """What the model takes and gives, in the words of the Open Inference Protocol."""
    return {
        "inputs": [
            {
                "name": "features",
                "datatype": "FP32",
                "shape": [-1, len(FEATURES)],
                "columns": list(FEATURES),
                "kinds": ["categorical" if name in CATEGORY_COLUMNS else "numeric" for name in FEATURES],
            }
        ],
        "outputs": [{"name": "late_probability", "datatype": "FP32", "shape": [-1]}],
    }


def main(context: TrainingContext) -> None:
    """The job's entry point: fits on all datasets it is given, logs metrics and the reference, and saves the model."""
    settings = Settings.of(context.params)
    fitted = fit(read_months([path for paths in context.datasets.values() for path in paths]), settings)
    for name, value in fitted.metrics.items():
        context.log_metric(name, value)
    for tree, loss in fitted.curve.items():
        context.log_metric("held_out_log_loss_by_tree", loss, step=tree)
    with tempfile.TemporaryDirectory() as folder:
        reference, gains, model = (Path(folder) / name for name in ("reference.parquet", "gains.json", "model.ubj"))
        fitted.reference.write_parquet(reference)
        context.log_artifact(reference)
        gains.write_text(json.dumps(fitted.booster.get_score(importance_type="gain"), indent=1))
        context.log_artifact(gains)
        fitted.booster.save_model(model)
        context.save_model(model, flavor="xgboost", signature=signature())
