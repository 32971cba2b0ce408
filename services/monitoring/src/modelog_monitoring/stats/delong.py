"""Area under the ROC curve with DeLong's variance, from mid-ranks in n log n.

E. DeLong, D. DeLong, D. Clarke-Pearson, Comparing the areas under two or more correlated receiver operating
characteristic curves, Biometrics 44 (1988) 837-845; X. Sun, W. Xu, Fast implementation of DeLong's algorithm,
IEEE Signal Processing Letters 21 (2014) 1389-1393, theorem 1.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.stats

from modelog_monitoring.stats.sketch import Floats

Bools: TypeAlias = npt.NDArray[np.bool_]


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
