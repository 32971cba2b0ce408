"""How well scores rank late flights, how sure that is, and which of two models ranks the same flights better.

The areas and their variances follow DeLong, DeLong and Clarke-Pearson (1988), by ranks as in Sun and Xu (2014).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Scores = NDArray[np.floating]
Floats = NDArray[np.float64]

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def auc(labels: Labels, scores: Scores) -> Estimate:
    """The area under the ROC curve. labels, scores: (rows,). Raises ValueError unless both classes are there."""
    value, influence = _influence(labels, scores)
    return _interval(value, influence)


def auc_gain(labels: Labels, before: Scores, after: Scores) -> Estimate:
    """The area of `after` less that of `before` on the same rows; DeLong's paired interval."""
    old, old_influence = _influence(labels, before)
    new, new_influence = _influence(labels, after)
    return _interval(new - old, new_influence - old_influence)


def auc_gain_by_group(labels: Labels, before: Scores, after: Scores, group: NDArray[np.integer]) -> Estimate:
    """The same gain, with an interval that lets the rows of one group (a day) go right or wrong together."""
    old, old_influence = _influence(labels, before)
    new, new_influence = _influence(labels, after)
    _, which = np.unique(group, return_inverse=True)
    together: Floats = np.bincount(which, weights=new_influence - old_influence).astype(np.float64)
    return _interval(new - old, together)


def log_loss(labels: Labels, scores: Scores) -> float:
    """The mean negative log likelihood, natural logarithm. Scores must lie strictly between 0 and 1."""
    return float(_losses(labels, scores).mean())


def log_loss_gain(labels: Labels, before: Scores, after: Scores) -> Estimate:
    """The log loss of `after` less that of `before` on the same rows, from the differences per row: less is better."""
    difference = _losses(labels, after) - _losses(labels, before)
    value = float(difference.mean())
    return _interval(value, (difference - value) / len(difference))


def _losses(labels: Labels, scores: Scores) -> Floats:
    probability = scores.astype(np.float64)
    losses: Floats = -np.where(labels == 1, np.log(probability), np.log1p(-probability))
    return losses


def _influence(labels: Labels, scores: Scores) -> tuple[float, Floats]:
    """The area, and how much each row moves it: the sum of their squares is DeLong's variance, up to n/(n-1)."""
    late = labels == 1
    positives, negatives = int(late.sum()), int((~late).sum())
    if positives == 0 or negatives == 0:
        raise ValueError(f"an AUC needs both classes: got {positives} late and {negatives} punctual flights")
    ranks = _midranks(scores)
    beats = (ranks[late] - _midranks(scores[late])) / negatives
    beaten = 1 - (ranks[~late] - _midranks(scores[~late])) / positives
    area = float(beats.mean())
    influence = np.empty(len(labels), np.float64)
    influence[late] = (beats - area) / positives
    influence[~late] = (beaten - area) / negatives
    return area, influence


def _interval(value: float, influence: Floats) -> Estimate:
    half = Z_95 * float(np.sqrt(np.square(influence).sum()))
    return Estimate(value, value - half, value + half)


def _midranks(scores: Scores) -> Floats:
    """Ranks from 1; equal scores share their mean rank."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    shared: Floats = np.cumsum(count) - (count - 1) / 2
    return shared[place]
