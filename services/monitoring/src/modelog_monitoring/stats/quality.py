"""Quality of a binary classifier's scores against true labels: discrimination, calibration and rates."""

from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from modelog_common.domain.errors import Invalid
from modelog_stats import delong, normal
from modelog_stats.checks import Bools

from modelog_monitoring.stats.sketch import Floats

Column: TypeAlias = npt.NDArray[Any]

# Scores of exactly 0 and 1 are moved in by this much, or one sure mistake would make the log loss infinite.
CLIP = 1e-15
CALIBRATION_BINS = 10


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its variance and its 95 % interval."""

    value: float
    variance: float
    low: float
    high: float


class CalibrationBin(msgspec.Struct, frozen=True):
    """Rows whose score fell into one tenth of [0, 1]: what was predicted and what came true."""

    rows: int
    mean_score: float
    positive_share: float


class Quality(msgspec.Struct, frozen=True):
    """How good the scores were; `auc` is None where a class has fewer than two rows.

    `base_rate` is the share of positive labels, `positive_rate` the share of scores at or above the
    threshold, `ece` the expected calibration error over ten equal-width bins (Guo et al. 2017); empty bins
    are left out.
    """

    rows: int
    positives: int
    base_rate: float
    positive_rate: float
    mean_score: float
    auc: Estimate | None
    log_loss: float
    brier: float
    ece: float
    calibration: tuple[CalibrationBin, ...]


def quality(labels: Column, scores: Column, *, threshold: float = 0.5) -> Quality:
    """Quality of scores (rows,) in [0, 1] against labels (rows,) of 0 and 1.

    Raises Invalid for another shape, no rows, other labels, or scores outside [0, 1] or not finite.
    """
    positive = checked_labels(labels, "labels")
    probabilities = checked_scores(scores, len(positive), "scores")
    bins = calibration(positive, probabilities)
    return Quality(
        rows=len(positive),
        positives=int(positive.sum()),
        base_rate=float(positive.mean()),
        positive_rate=float((probabilities >= threshold).mean()),
        mean_score=float(probabilities.mean()),
        auc=auc_estimate(positive, probabilities),
        log_loss=float(row_log_loss(positive, probabilities).mean()),
        brier=float(np.mean((probabilities - positive) ** 2)),
        ece=sum(part.rows * abs(part.mean_score - part.positive_share) for part in bins) / len(positive),
        calibration=bins,
    )


def auc_estimate(positive: Bools, scores: Floats) -> Estimate | None:
    """AUC with DeLong's variance and the normal interval, cut to [0, 1]."""
    if not delong.has_auc(positive):
        return None
    placed = delong.placements(positive, scores)
    margin = normal.margin(placed.variance)
    return Estimate(placed.auc, placed.variance, max(0.0, placed.auc - margin), min(1.0, placed.auc + margin))


def row_log_loss(positive: Bools, probabilities: Floats) -> Floats:
    """Log loss of each row in nats, shape (rows,)."""
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    return -np.where(positive, np.log(clipped), np.log1p(-clipped))


def calibration(positive: Bools, probabilities: Floats) -> tuple[CalibrationBin, ...]:
    """Predicted against observed in ten equal-width bins, those without rows left out."""
    which = np.minimum((probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    rows = np.bincount(which, minlength=CALIBRATION_BINS)
    scored = np.bincount(which, weights=probabilities, minlength=CALIBRATION_BINS)
    happened = np.bincount(which, weights=positive, minlength=CALIBRATION_BINS)
    return tuple(
        CalibrationBin(rows=int(n), mean_score=float(score / n), positive_share=float(hits / n))
        for n, score, hits in zip(rows, scored, happened, strict=True)
        if n
    )


def checked_labels(labels: Column, field: str) -> Bools:
    given = np.asarray(labels)
    if given.ndim != 1 or len(given) == 0:
        raise Invalid.field(field, f"shape {given.shape} is not allowed; (rows,), at least one row, is needed")
    wrong = given[(given != 0) & (given != 1)]
    if len(wrong):
        raise Invalid.field(field, f"{wrong[0]} is not allowed; labels are 0 or 1")
    return given.astype(np.bool_)


def checked_scores(scores: Column, rows: int, field: str) -> Floats:
    given = np.asarray(scores)
    if given.shape != (rows,):
        raise Invalid.field(field, f"shape {given.shape} is not allowed; one score per label, ({rows},), is needed")
    wrong = given[~((given >= 0) & (given <= 1))]
    if len(wrong):
        raise Invalid.field(field, f"{wrong[0]} is not allowed; scores are probabilities from 0 to 1")
    return given.astype(np.float64)
