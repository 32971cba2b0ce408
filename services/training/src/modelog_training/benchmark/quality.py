"""How good scores are on labelled rows, each figure with its 95 % interval; and two models' on the same rows."""

from __future__ import annotations

import numpy as np
from modelog_stats import delong, normal
from modelog_stats.checks import Floats

CLIP = 1e-7
THRESHOLD = 0.5


def quality(labels: Floats, scores: Floats) -> dict[str, float]:
    """AUC (DeLong), log loss, Brier score and accuracy at 0.5: `name`, `name_lower` and `name_upper`.

    labels (rows,) of 0 and 1, scores (rows,) in [0, 1]. There is no AUC where a class has fewer than two rows.
    """
    positive = labels == 1
    found: dict[str, float] = {}
    if delong.has_auc(positive):
        placed = delong.placements(positive, scores)
        found |= _with_interval("auc", placed.auc, placed.variance)
    for name, values in per_row(labels, scores).items():
        found |= _with_interval(name, float(values.mean()), variance_of_mean(values))
    return found


def compared(labels: Floats, *, against: Floats, of: Floats) -> dict[str, float]:
    """By how much the figures of `of` exceed those of `against`, paired by row, with interval and p-value."""
    found: dict[str, float] = {}
    if delong.has_auc(labels == 1):
        auc = delong.compare_auc(labels, against, of)
        found |= {"auc": auc.estimate, "auc_lower": auc.low, "auc_upper": auc.high, "auc_p": auc.p_value}
    first, second = per_row(labels, against), per_row(labels, of)
    for name in first:
        values = second[name] - first[name]
        estimate, variance = float(values.mean()), variance_of_mean(values)
        found |= _with_interval(name, estimate, variance) | {f"{name}_p": normal.p_value(estimate, variance)}
    return found


def per_row(labels: Floats, scores: Floats) -> dict[str, Floats]:
    """What each row adds to the figures that are means, shape (rows,)."""
    clipped = np.clip(scores, CLIP, 1 - CLIP)
    return {
        "log_loss": -np.where(labels == 1, np.log(clipped), np.log1p(-clipped)),
        "brier": (scores - labels) ** 2,
        "accuracy": ((scores >= THRESHOLD) == (labels == 1)).astype(np.float64),
    }


def variance_of_mean(values: Floats) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def _with_interval(name: str, value: float, variance: float) -> dict[str, float]:
    margin = normal.margin(variance)
    return {name: value, f"{name}_lower": value - margin, f"{name}_upper": value + margin}
