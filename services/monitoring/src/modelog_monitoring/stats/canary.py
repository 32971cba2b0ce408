"""A canary's gain in Brier score, row by row: what more outcomes add to what is known. Uses `modelog_stats`.

The Brier score (G. Brier, Monthly Weather Review 78 (1950) 1-3) of a row is the squared difference of probability and
outcome: proper, so that nothing but the true probability does best by it, and between 0 and 1, as a test at any time
needs it. The log loss is proper and has no bound; an AUC has no value of a row.
"""

from __future__ import annotations

from modelog_stats.ab.paired import PairedTest

from modelog_monitoring.retraining.events import CanaryFigures
from modelog_monitoring.stats.quality import Column, checked_labels, checked_scores


def counted(
    before: CanaryFigures | None, alpha: float, labels: Column, champion: Column, challenger: Column
) -> CanaryFigures:
    """The figures with more rows: labels (rows,) of 0 and 1, scores (rows,) in [0, 1] of both models.

    Raises Invalid like `quality`, naming the argument.
    """
    positive = checked_labels(labels, "labels")
    old = (checked_scores(champion, len(positive), "champion_scores") - positive) ** 2
    new = (checked_scores(challenger, len(positive), "challenger_scores") - positive) ** 2
    test, total_old, total_new = PairedTest(alpha), 0.0, 0.0
    if before is not None:
        test = PairedTest(alpha, before.rows, before.sums, before.low, before.high)
        total_old, total_new = before.rows * before.champion_brier, before.rows * before.challenger_brier
    test = test.add(old - new)
    return CanaryFigures(
        rows=test.n,
        champion_brier=(total_old + float(old.sum())) / test.n,
        challenger_brier=(total_new + float(new.sum())) / test.n,
        low=test.low,
        high=test.high,
        sums=test.sums,
    )
