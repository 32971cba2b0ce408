"""Area under the ROC curve with DeLong's variance, from mid-ranks in n log n.

E. DeLong, D. DeLong, D. Clarke-Pearson, Comparing the areas under two or more correlated receiver operating
characteristic curves, Biometrics 44 (1988) 837-845; X. Sun, W. Xu, Fast implementation of DeLong's algorithm,
IEEE Signal Processing Letters 21 (2014) 1389-1393, theorem 1.

Assumes independent rows; the normal interval is too short where a class has few rows (below about 20) or the area
is close to 1, and the test means little between nested models (Demler, Pencina, D'Agostino 2012).
"""

from __future__ import annotations

from typing import NamedTuple

import scipy.stats

from modelog_stats import normal
from modelog_stats.checks import BadInput, Bools, Column, Floats, binary, finite
from modelog_stats.result import Result


class Placements(NamedTuple):
    """Each row's share of the other class that it is ranked right against, ties counting half."""

    positives: Floats
    negatives: Floats

    @property
    def auc(self) -> float:
        return float(self.positives.mean())

    @property
    def variance(self) -> float:
        """DeLong's variance of the AUC; needs at least two rows of each class."""
        return variance_of_means(self.positives, self.negatives)


def compare_auc(labels: Column, a: Column, b: Column, *, confidence: float = 0.95) -> Result:
    """AUC of scores `b` minus that of `a` on the same rows: labels (rows,) of 0 and 1, higher scores meaning 1."""
    positive = binary(labels, "labels")
    scores = [finite(given, field, at_least=1) for given, field in ((a, "a"), (b, "b"))]
    for given, field in zip(scores, ("a", "b"), strict=True):
        if len(given) != len(positive):
            raise BadInput(field, f"{len(given)} scores are not allowed; one per label, {len(positive)}, is needed")
    if not has_auc(positive):
        raise BadInput("labels", f"{int(positive.sum())} of {len(positive)} are 1; two of each class are needed")
    first, second = (placements(positive, given) for given in scores)
    value, variance = second.auc - first.auc, variance_of_difference(first, second)
    margin = normal.margin(variance, confidence)
    return Result(
        what="AUC",
        estimate=value,
        low=value - margin,
        high=value + margin,
        p_value=normal.p_value(value, variance),
        method="DeLong",
        n=len(positive),
        units="rows",
        confidence=confidence,
    )


def has_auc(positive: Bools) -> bool:
    """Whether the labels have two rows of each class, without which the AUC or its variance is undefined."""
    positives = int(positive.sum())
    return min(positives, len(positive) - positives) >= 2


def placements(positive: Bools, scores: Floats) -> Placements:
    """Placement values of labels (rows,) bool and scores (rows,); the mean over either class is the AUC."""
    above, below = scores[positive], scores[~positive]
    ranks = scipy.stats.rankdata(scores)
    return Placements(
        positives=(ranks[positive] - scipy.stats.rankdata(above)) / len(below),
        negatives=1 - (ranks[~positive] - scipy.stats.rankdata(below)) / len(above),
    )


def variance_of_difference(a: Placements, b: Placements) -> float:
    """Variance of AUC(a) - AUC(b) on the same rows: the contrast (1, -1) of DeLong's covariance matrix."""
    return variance_of_means(a.positives - b.positives, a.negatives - b.negatives)


def variance_of_means(positives: Floats, negatives: Floats) -> float:
    return float(positives.var(ddof=1) / len(positives) + negatives.var(ddof=1) / len(negatives))
