"""How long predictions take by the size of their batch: models take turns, so that a busy moment hits all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from modelog_training.benchmark.predictor import Matrix, Predictor

FEWEST_CALLS = 20
MOST_CALLS = 5_000
WARM_UP_CALLS = 3


def timings(
    predictors: Sequence[Predictor], tables: Sequence[Matrix], sizes: Sequence[int], seconds: float
) -> list[dict[str, float]]:
    """Of each model `latency_p50_ms/N`, p95 and p99, and `rows_per_s/N`, for batches of N rows.

    At least 20 calls are made of each size, and no more once all models together took `seconds`.
    """
    found: list[dict[str, float]] = [{} for _ in predictors]
    for size in sizes:
        for figures, spent in zip(found, _spent(predictors, tables, size, seconds), strict=True):
            for percent in (50, 95, 99):
                figures[f"latency_p{percent}_ms/{size}"] = float(np.percentile(spent, percent)) * 1_000
            figures[f"rows_per_s/{size}"] = size * len(spent) / sum(spent)
    return found


def _spent(predictors: Sequence[Predictor], tables: Sequence[Matrix], size: int, seconds: float) -> list[list[float]]:
    """Seconds of each call of each model."""
    batches = [np.ascontiguousarray(np.resize(table, (size, table.shape[1]))) for table in tables]
    for predictor, batch in zip(predictors, batches, strict=True):
        for _ in range(WARM_UP_CALLS):
            predictor.scores(batch)
    spent: list[list[float]] = [[] for _ in predictors]
    until = time.perf_counter() + seconds
    while len(spent[0]) < MOST_CALLS and (len(spent[0]) < FEWEST_CALLS or time.perf_counter() < until):
        for each, predictor, batch in zip(spent, predictors, batches, strict=True):
            start = time.perf_counter()
            predictor.scores(batch)
            each.append(time.perf_counter() - start)
    return spent
