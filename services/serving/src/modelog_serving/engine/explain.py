"""Why a model answered as it did: what each feature contributed, exactly for trees, by sampling for other models.

Contributions are Shapley values: they and the base add up to what is explained. Trees are explained by their own
library (TreeSHAP, https://www.nature.com/articles/s42256-019-0138-9) in the margin, which is the sum over trees before
the objective's link. For others features enter one by one, in random orders, from a baseline row, and what the answer
changes by is theirs (https://doi.org/10.1016/j.cor.2008.04.004).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Protocol, runtime_checkable

import numpy as np
from modelog_common.domain.errors import Invalid
from numpy.typing import NDArray

from modelog_serving.engine.runtime import Matrix, Model

Numbers = NDArray[np.float64]
Predict = Callable[[Model, Matrix], Awaitable[Matrix]]
SHAP = "shap"
TREES, EXACT, SAMPLED = "tree_shap", "exact_shapley", "sampled_shapley"
MARGIN, OUTPUT = "margin", "output"
ROWS_PER_CALL = 2048
EXPLAINED_PER_CALL = 64
MOST_ROWS = 1000
MOST_ANSWERS = 500_000
MOST_SAMPLES = 10_000


@runtime_checkable
class Explains(Protocol):
    """A model that knows its contributions."""

    def contributions(self, rows: Matrix) -> Matrix:
        """(rows, outputs * (features + 1)): for each output those of the features, then the base."""
        ...


@dataclass(frozen=True)
class Wanted:
    """`samples` orders of the features, drawn by `seed`; `baseline` is one number for each feature, empty for zeros."""

    samples: int = 128
    seed: int = 0
    baseline: tuple[float, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """`contributions` (rows, outputs, features) and `base` (rows, outputs) add up to the margin or the output, as `of`
    says; `error` is the standard error of each contribution where they were sampled, from `samples` orders."""

    method: str
    of: str
    contributions: Numbers
    base: Numbers
    error: Numbers | None = None
    samples: int = 0


@dataclass(frozen=True)
class _Contributing:
    """Asks for contributions where answers are asked for."""

    model: Explains

    def predict(self, rows: Matrix) -> Matrix:
        return self.model.contributions(rows)


async def explained(model: Model, rows: Matrix, wanted: Wanted, predict: Predict) -> Explanation:
    """Explain each row; `predict` asks the model. Raises Invalid for what would take too long."""
    if len(rows) > MOST_ROWS:
        raise Invalid.field("inputs", f"have {len(rows)} rows; at most {MOST_ROWS} are explained in one request")
    if isinstance(model, Explains):
        return await _by_trees(model, rows, predict)
    return await _by_orders(model, rows, wanted, predict)


async def _by_trees(model: Explains, rows: Matrix, predict: Predict) -> Explanation:
    asked = _Contributing(model)
    cuts = range(0, len(rows), EXPLAINED_PER_CALL)
    parts = [await predict(asked, rows[start : start + EXPLAINED_PER_CALL]) for start in cuts]
    found = np.concatenate(parts).astype(np.float64).reshape(len(rows), -1, rows.shape[1] + 1)
    return Explanation(TREES, MARGIN, found[:, :, :-1], found[:, :, -1])


async def _by_orders(model: Model, rows: Matrix, wanted: Wanted, predict: Predict) -> Explanation:
    features = rows.shape[1]
    baseline = np.array(wanted.baseline or [0.0] * features, rows.dtype)
    if len(baseline) != features:
        raise Invalid.field(
            "parameters.explain_baseline", f"has {len(baseline)} numbers; one for each of {features} features is needed"
        )
    exact = features <= 6 and factorial(features) <= wanted.samples
    orders = np.array(list(permutations(range(features)))) if exact else _drawn(features, wanted)
    answers = len(rows) * len(orders) * (features + 1)
    if answers > MOST_ANSWERS:
        raise Invalid.field(
            "parameters.explain",
            f"takes {answers} answers of the model for {len(rows)} rows of {features} features and {len(orders)} "
            f"samples; at most {MOST_ANSWERS} are allowed: send fewer rows, or a smaller explain_samples",
        )
    parts = [await _walked(model, row, baseline, orders, predict) for row in rows]
    each = np.stack([contributions for contributions, _ in parts])
    base = np.stack([base for _, base in parts])
    mean = each.mean(axis=1).swapaxes(1, 2)
    if exact:
        return Explanation(EXACT, OUTPUT, mean, base, np.zeros_like(mean), len(orders))
    # An order and its reverse are drawn together, which makes the error smaller; pairs are independent of each other.
    pairs = each.reshape(len(rows), -1, 2, *each.shape[2:]).mean(axis=2)
    error = (pairs.std(axis=1, ddof=1) / np.sqrt(pairs.shape[1])).swapaxes(1, 2)
    return Explanation(SAMPLED, OUTPUT, mean, base, error, len(orders))


def _drawn(features: int, wanted: Wanted) -> NDArray[np.intp]:
    draw = np.random.default_rng(wanted.seed)
    half = [draw.permutation(features) for _ in range(max(2, wanted.samples // 2))]
    return np.array([order for one in half for order in (one, one[::-1])])


async def _walked(
    model: Model, row: Matrix, baseline: Matrix, orders: NDArray[np.intp], predict: Predict
) -> tuple[Numbers, Numbers]:
    """What each feature changed in each order, (orders, features, outputs), and the baseline's answer, (outputs)."""
    count, features = orders.shape
    rank = np.argsort(orders, axis=1)
    there = rank[:, None, :] < np.arange(features + 1)[None, :, None]
    asked = np.where(there, row, baseline).reshape(-1, features)
    parts = [
        await predict(model, asked[start : start + ROWS_PER_CALL]) for start in range(0, len(asked), ROWS_PER_CALL)
    ]
    answers = np.concatenate(parts).astype(np.float64).reshape(count, features + 1, -1)
    changed = np.diff(answers, axis=1)
    return np.take_along_axis(changed, rank[:, :, None], axis=1), answers[0, 0]
