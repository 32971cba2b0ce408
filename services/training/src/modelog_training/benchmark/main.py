"""The entry point of a benchmark: predicts a stored dataset version with stored model versions, and logs what it finds.

It runs in a worker as any job's code does: figures become metrics of the job's run, and of the event that it
succeeded with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from modelog.training import Context
from modelog_stats.checks import Floats

from modelog_training.benchmark.footprint import footprint
from modelog_training.benchmark.predictor import Matrix, Predictor, load
from modelog_training.benchmark.quality import compared, quality
from modelog_training.benchmark.timing import timings

BATCH_SIZES = (1, 32, 256)
SECONDS = 2.0


def main(context: Context) -> None:
    """Parameters: `label`, the column that holds 0 or 1; `batch_sizes`; `seconds` of measuring for each of them.

    The second model, if any, is the one that the first is held against: its figures are called `against/...`, and the
    differences on the same rows `difference/...`.
    """
    label, sizes = str(context.params["label"]), [int(n) for n in context.params.get("batch_sizes", BATCH_SIZES)]
    rows = pl.concat([pl.read_parquet(file) for file in context.dataset_paths])
    labels = labels_of(rows, label)
    predictors = [load(model) for model in context.models]
    tables = [features_of(rows, predictor) for predictor in predictors]
    context.log_metric("rows", rows.height)
    scores: list[Floats] = []
    for number, (model, predictor, table) in enumerate(zip(context.models, predictors, tables, strict=True)):
        prefix = "against/" if number else ""
        context.progress(0.1 + 0.2 * number, f"{model.model} {model.version}: {rows.height} rows")
        scores.append(predictor.scores(table))
        log(context, prefix, quality(labels, scores[-1]))
        log(context, prefix, {"size_bytes": float(model.path.stat().st_size)})
        log(context, prefix, footprint(model, table[: max(sizes)]))
    if len(scores) > 1:
        log(context, "difference/", compared(labels, against=scores[1], of=scores[0]))
    context.progress(0.6, f"timing batches of {', '.join(map(str, sizes))} rows")
    seconds = float(context.params.get("seconds", SECONDS))
    for number, found in enumerate(timings(predictors, tables, sizes, seconds)):
        log(context, "against/" if number else "", found)


def log(context: Context, prefix: str, figures: Mapping[str, float]) -> None:
    context.log_metrics({f"{prefix}{name}": value for name, value in figures.items()})


def labels_of(rows: pl.DataFrame, label: str) -> Floats:
    """The labels (rows,), each 0 or 1; ValueError says what is there instead."""
    if label not in rows.columns:
        raise ValueError(f"label: there is no column {label!r}; there are {', '.join(rows.columns)}")
    found: Any = rows[label].cast(pl.Float64).to_numpy()
    wrong = found[~np.isin(found, (0.0, 1.0))]
    if len(wrong):
        raise ValueError(f"label: {label!r} holds {wrong[0]}; labels are 0 or 1")
    return np.asarray(found, np.float64)


def features_of(rows: pl.DataFrame, predictor: Predictor) -> Matrix:
    """The columns that a model takes, (rows, features) in its own order and of its own dtype."""
    missing = [name for name in predictor.features if name not in rows.columns]
    if missing:
        raise ValueError(f"dataset: it lacks the columns {', '.join(missing)} that {predictor.name} takes")
    floats = rows.select(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in predictor.features)
    return np.ascontiguousarray(floats.to_numpy(), predictor.dtype)
