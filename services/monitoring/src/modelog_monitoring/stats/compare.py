"""A challenger's scores against a champion's, with intervals: on the same rows or on two arms of a split."""

import msgspec
from modelog_stats import delong, normal

from modelog_monitoring.stats.quality import Column, checked_labels, checked_scores, row_log_loss
from modelog_monitoring.stats.sketch import Floats


class Difference(msgspec.Struct, frozen=True):
    """Challenger minus champion with its 95 % interval and two-sided p-value (normal)."""

    champion: float
    challenger: float
    value: float
    variance: float
    low: float
    high: float
    p_value: float


class Comparison(msgspec.Struct, frozen=True):
    """The challenger is better where `auc` is above zero and `log_loss` below.

    `auc` is None where a class has fewer than two rows, `log_loss` where an arm has fewer than two.
    """

    champion_rows: int
    challenger_rows: int
    auc: Difference | None
    log_loss: Difference | None


def compare(labels: Column, champion_scores: Column, challenger_scores: Column) -> Comparison:
    """Both models scored the same rows: labels (rows,) of 0 and 1, scores (rows,) in [0, 1].

    AUC by DeLong's covariance, log loss by the differences per row. Pairing removes what the rows share, so
    this finds differences that `compare_unpaired` cannot. Raises Invalid like `quality`, naming the argument.
    """
    positive = checked_labels(labels, "labels")
    champion = checked_scores(champion_scores, len(positive), "champion_scores")
    challenger = checked_scores(challenger_scores, len(positive), "challenger_scores")
    auc = None
    if delong.has_auc(positive):
        old, new = delong.placements(positive, champion), delong.placements(positive, challenger)
        auc = difference(old.auc, new.auc, delong.variance_of_difference(old, new))
    old_loss, new_loss = row_log_loss(positive, champion), row_log_loss(positive, challenger)
    return Comparison(
        champion_rows=len(positive),
        challenger_rows=len(positive),
        auc=auc,
        log_loss=mean_difference(old_loss, new_loss, new_loss - old_loss),
    )


def compare_unpaired(
    champion_labels: Column, champion_scores: Column, challenger_labels: Column, challenger_scores: Column
) -> Comparison:
    """Each model scored its own rows, split at random (a canary): the variances of both arms add up.

    Raises Invalid like `quality`, naming the argument.
    """
    old_positive = checked_labels(champion_labels, "champion_labels")
    new_positive = checked_labels(challenger_labels, "challenger_labels")
    champion = checked_scores(champion_scores, len(old_positive), "champion_scores")
    challenger = checked_scores(challenger_scores, len(new_positive), "challenger_scores")
    auc = None
    if delong.has_auc(old_positive) and delong.has_auc(new_positive):
        old, new = delong.placements(old_positive, champion), delong.placements(new_positive, challenger)
        auc = difference(old.auc, new.auc, old.variance + new.variance)
    old_loss, new_loss = row_log_loss(old_positive, champion), row_log_loss(new_positive, challenger)
    return Comparison(
        champion_rows=len(old_positive),
        challenger_rows=len(new_positive),
        auc=auc,
        log_loss=mean_difference(old_loss, new_loss, old_loss, new_loss),
    )


def mean_difference(old: Floats, new: Floats, *independent: Floats) -> Difference | None:
    """Difference of two means whose variance is that of the means of the independent arrays, added up."""
    if min(len(rows) for rows in independent) < 2:
        return None
    variance = sum(float(rows.var(ddof=1)) / len(rows) for rows in independent)
    return difference(float(old.mean()), float(new.mean()), variance)


def difference(champion: float, challenger: float, variance: float) -> Difference:
    value, margin = challenger - champion, normal.margin(variance)
    return Difference(
        champion=champion,
        challenger=challenger,
        value=value,
        variance=variance,
        low=value - margin,
        high=value + margin,
        p_value=normal.p_value(value, variance),
    )
