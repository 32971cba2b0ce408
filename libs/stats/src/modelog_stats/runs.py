"""Two groups of repeated runs compared, by the test that their design asks for.

The design decides, never a look at the figures: choosing a test by a test of normality changes its level.

- paired: run i of both groups shares its seed, its fold or its data. Paired t, or Wilcoxon's signed ranks.
- resampled: the same, with training sets that overlap (cross-validation, random splits). The corrected resampled t of
  C. Nadeau, Y. Bengio, Inference for the generalization error, Machine Learning 52 (2003) 239-281: without the
  correction the runs' dependence makes differences out of nothing.
- independent: nothing is shared. Welch's t, or Mann-Whitney.

The t tests assume means that are about normal; the rank tests do not, and ask for more runs: at 95 % six pairs, or four
runs in each of two groups, before anything can be significant.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy.special
import scipy.stats

from modelog_stats import ranks as of_ranks
from modelog_stats.checks import BadInput, Column, Floats, between, finite, pairs
from modelog_stats.result import Result

Design = Literal["paired", "resampled", "independent"]


def compare_runs(
    a: Column,
    b: Column,
    *,
    design: Design,
    ranks: bool = False,
    test_share: float | None = None,
    what: str = "metric",
    confidence: float = 0.95,
) -> Result:
    """The metric of runs `b` minus that of runs `a`, one value a run, two or more in each group.

    `test_share` is the share of the rows held out, needed by the design "resampled" alone: 0.2 for five folds.
    """
    between(confidence, "confidence", 0, 1)
    if design == "independent":
        first, second = finite(a, "a", at_least=2), finite(b, "b", at_least=2)
        refuse_constant(np.concatenate((first - first.mean(), second - second.mean())))
        test = mann_whitney if ranks else welch
        return test(first, second, what, confidence)
    first, second = pairs(a, b, at_least=2)
    refuse_constant(second - first - (second - first).mean())
    if design == "resampled":
        if ranks:
            raise BadInput("ranks", "True is not allowed; no rank test is known for overlapping training sets")
        if test_share is None:
            raise BadInput("test_share", "it is needed where training sets overlap: the share of the rows held out")
        return corrected_t(second - first, between(test_share, "test_share", 0, 1), what, confidence)
    return signed_ranks(second - first, what, confidence) if ranks else paired_t(second - first, what, confidence)


def refuse_constant(around_mean: Floats) -> None:
    if not np.abs(around_mean).max() > 0:
        raise BadInput("b", "the runs do not vary at all, so they tell nothing of chance; repeat them with other seeds")


def paired_t(differences: Floats, what: str, confidence: float) -> Result:
    n = len(differences)
    return _t(differences, math.sqrt(1 / n), n - 1, what, "paired t", confidence)


def corrected_t(differences: Floats, test_share: float, what: str, confidence: float) -> Result:
    """Nadeau and Bengio: the variance of the mean is (1/n + test rows / training rows) times that of a difference."""
    n = len(differences)
    per_sd = math.sqrt(1 / n + test_share / (1 - test_share))
    return _t(differences, per_sd, n - 1, what, "corrected resampled t (Nadeau-Bengio)", confidence)


def _t(differences: Floats, per_sd: float, df: int, what: str, method: str, confidence: float) -> Result:
    value, error = float(differences.mean()), float(differences.std(ddof=1)) * per_sd
    margin = float(scipy.special.stdtrit(df, 0.5 + confidence / 2)) * error
    return Result(
        what=what,
        estimate=value,
        low=value - margin,
        high=value + margin,
        p_value=float(2 * scipy.special.stdtr(df, -abs(value) / error)),
        method=method,
        n=len(differences),
        units="pairs of runs",
        confidence=confidence,
    )


def welch(a: Floats, b: Floats, what: str, confidence: float) -> Result:
    found = scipy.stats.ttest_ind(b, a, equal_var=False)
    interval = found.confidence_interval(confidence)
    return Result(
        what=what,
        estimate=float(b.mean() - a.mean()),
        low=float(interval.low),
        high=float(interval.high),
        p_value=float(found.pvalue),
        method="Welch's t",
        n=len(a) + len(b),
        units="runs",
        confidence=confidence,
    )


def signed_ranks(differences: Floats, what: str, confidence: float) -> Result:
    """Wilcoxon's test; the estimate is the pseudo-median (Hodges and Lehmann), of symmetric differences the median."""
    estimate, low, high = of_ranks.pseudo_median(differences, confidence)
    return Result(
        what=what,
        estimate=estimate,
        low=low,
        high=high,
        p_value=float(scipy.stats.wilcoxon(differences).pvalue),
        method="Wilcoxon's signed ranks",
        n=len(differences),
        units="pairs of runs",
        confidence=confidence,
    )


def mann_whitney(a: Floats, b: Floats, what: str, confidence: float) -> Result:
    """The estimate is the median of all differences (Hodges and Lehmann): the shift, where the shapes are alike."""
    estimate, low, high = of_ranks.shift(a, b, confidence)
    return Result(
        what=what,
        estimate=estimate,
        low=low,
        high=high,
        p_value=float(scipy.stats.mannwhitneyu(b, a).pvalue),
        method="Mann-Whitney",
        n=len(a) + len(b),
        units="runs",
        confidence=confidence,
    )
