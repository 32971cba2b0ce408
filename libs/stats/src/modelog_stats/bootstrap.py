"""Paired bootstrap: any metric of two models on the same rows.

B. Efron, Better bootstrap confidence intervals, J. of the American Statistical Association 82 (1987) 171-185 (BCa);
A. Davison, D. Hinkley, Bootstrap methods and their application (1997), chapter 5. Assumes independent rows and a metric
that changes little when one row does; BCa corrects bias and skewness, which matter below about a thousand rows and
cost one evaluation of the metric for each row.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.special
import scipy.stats

from modelog_stats.checks import BadInput, Column, Floats, Ints, between
from modelog_stats.result import Result

Array: TypeAlias = npt.NDArray[Any]
# metric(labels, predictions), all arrays of one length.
Metric = Callable[[Array, Array], float]
Method = Literal["BCa", "percentile"]

BCA_ROWS = 1_000
# Row numbers drawn at once, which bounds the memory to 80 MB.
DRAWN_AT_ONCE = 10_000_000


def paired_bootstrap(
    metric: Metric,
    labels: Column,
    a: Column,
    b: Column,
    *,
    what: str = "metric",
    method: Method | None = None,
    stratify: bool = False,
    resamples: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Result:
    """The metric of predictions `b` minus that of `a`; each has one row per label, (rows, ...).

    Without a method it is BCa up to 1,000 rows. `stratify` draws each label's rows apart, so that no resample lacks a
    class. The p-value is that of the interval which just touches zero.
    """
    truth, first, second = np.asarray(labels), np.asarray(a), np.asarray(b)
    for given, field in ((first, "a"), (second, "b")):
        if len(given) != len(truth) or len(truth) < 2:
            raise BadInput(
                field, f"{len(given)} rows are not allowed; one per label, {len(truth)} and 2 or more, is needed"
            )
    between(confidence, "confidence", 0, 1)

    def difference(*parts: Ints) -> float:
        rows = np.concatenate(parts)
        return metric(truth[rows], second[rows]) - metric(truth[rows], first[rows])

    parts = strata(truth) if stratify else [np.arange(len(truth))]
    estimate = difference(*parts)
    draws = distribution(difference, parts, resamples, seed)
    method = method or ("BCa" if len(truth) <= BCA_ROWS else "percentile")
    bias = bias_of(draws, estimate) if method == "BCa" else 0.0
    skew = acceleration(difference, parts) if method == "BCa" else 0.0
    low, high = np.quantile(draws, [level(bias, skew, tail) for tail in ((1 - confidence) / 2, (1 + confidence) / 2)])
    return Result(
        what=what,
        estimate=estimate,
        low=float(low),
        high=float(high),
        p_value=p_value(draws, bias, skew),
        method=f"paired bootstrap, {method}",
        n=len(truth),
        units="rows",
        confidence=confidence,
    )


def strata(labels: Array) -> list[Ints]:
    """Row numbers of each distinct label; every label needs two rows."""
    values, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        rare = values[counts.argmin()]
        raise BadInput("labels", f"{rare} has one row; to draw each label's rows apart two of each are needed")
    return [np.flatnonzero(labels == value) for value in values]


def distribution(difference: Callable[..., float], parts: Sequence[Ints], resamples: int, seed: int) -> Floats:
    """The difference on rows drawn with replacement, shape (resamples,)."""
    with warnings.catch_warnings():
        # Of draws that are all alike, as between two equal models: there is an interval, of no width.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        found = scipy.stats.bootstrap(
            parts,
            difference,
            n_resamples=resamples,
            batch=max(1, DRAWN_AT_ONCE // sum(map(len, parts))),
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    draws: Floats = found.bootstrap_distribution
    missing = int((~np.isfinite(draws)).sum())
    if missing:
        raise BadInput(
            "metric", f"it has no value on {missing} of {resamples} resamples; draw each label's rows apart (stratify)"
        )
    return draws


def level(bias: float, skew: float, tail: float) -> float:
    """Which quantile of the draws bounds the interval at this tail (Efron 1987, formula 2.3)."""
    z = bias + float(scipy.special.ndtri(tail))
    return float(scipy.special.ndtr(bias + z / (1 - skew * z)))


def p_value(draws: Floats, bias: float, skew: float) -> float:
    """Twice the tail at which `level` is the share of draws below zero; never less than the draws can tell."""
    smallest = 1 / (len(draws) + 1)
    share = float(np.clip(((draws < 0).mean() + (draws <= 0).mean()) / 2, smallest, 1 - smallest))
    z = float(scipy.special.ndtri(share)) - bias
    tail = float(scipy.special.ndtr(z / (1 + skew * z) - bias))
    return min(1.0, max(2 * min(tail, 1 - tail), 2 * smallest))


def bias_of(draws: Floats, estimate: float) -> float:
    """z0: the normal quantile of the share of draws below the estimate, ties counting half."""
    share = ((draws < estimate).mean() + (draws <= estimate).mean()) / 2
    return float(scipy.special.ndtri(np.clip(share, 1 / (len(draws) + 1), len(draws) / (len(draws) + 1))))


def acceleration(difference: Callable[..., float], parts: Sequence[Ints]) -> float:
    """a: the skewness of each row's influence, by leaving out one row at a time; 0 where no row has any.

    `scipy.stats.bootstrap` computes the same and keeps it, but the p-value needs it.
    """
    cubes = squares = 0.0
    for which, part in enumerate(parts):
        left_out = ([*parts[:which], np.delete(part, row), *parts[which + 1 :]] for row in range(len(part)))
        values = np.asarray([difference(*others) for others in left_out])
        pull = (len(part) - 1) * (values.mean() - values) / len(part)
        cubes += float((pull**3).sum())
        squares += float((pull**2).sum())
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0
