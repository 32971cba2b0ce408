"""Hodges' and Lehmann's estimates with the intervals that belong to the two rank tests.

J. Hodges, E. Lehmann, Estimates of location based on rank tests, Annals of Mathematical Statistics 34 (1963) 598-611;
the intervals as in M. Hollander, D. Wolfe, E. Chicken, Nonparametric statistical methods (2014), 3.3 and 4.3. Exact
without ties up to `EXACT` values, normal above. scipy has the tests, not the intervals.
"""

from __future__ import annotations

import math

import numpy as np

from modelog_stats import normal
from modelog_stats.checks import Floats

# Counting the ranks exactly takes memory and time with the square of the number; the normal is good long before.
EXACT = 100


def pseudo_median(values: Floats, confidence: float) -> tuple[float, float, float]:
    """Median of all averages of two values (with themselves too), and its interval."""
    n = len(values)
    averages = np.sort((values[:, None] + values[None, :])[np.triu_indices(n)] / 2)
    mean, variance = n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24
    counts = signed_rank_counts(n) if n <= EXACT else None
    return _interval(averages, _outside(counts, mean, variance, confidence))


def shift(a: Floats, b: Floats, confidence: float) -> tuple[float, float, float]:
    """Median of all differences b - a, and its interval."""
    m, n = len(a), len(b)
    differences = np.sort((b[:, None] - a[None, :]).ravel())
    mean, variance = m * n / 2, m * n * (m + n + 1) / 12
    counts = rank_sum_counts(m, n) if m + n <= EXACT else None
    return _interval(differences, _outside(counts, mean, variance, confidence))


def _outside(counts: Floats | None, mean: float, variance: float, confidence: float) -> int:
    """How many of the ordered values lie outside the interval on each side, plus one; 0 if there is no interval."""
    tail = (1 - confidence) / 2
    if counts is None:
        return math.floor(mean - normal.quantile(confidence) * math.sqrt(variance))
    # The values k that the statistic falls below so rarely: P(statistic < k) <= tail.
    return int(np.searchsorted(np.cumsum(counts / counts.sum()), tail, side="right"))


def _interval(ascending: Floats, outside: int) -> tuple[float, float, float]:
    estimate = float(np.median(ascending))
    if outside < 1:
        return estimate, -math.inf, math.inf
    return estimate, float(ascending[outside - 1]), float(ascending[-outside])


def signed_rank_counts(n: int) -> Floats:
    """In how many of the 2^n signings of the ranks 1 to n the positive ones sum to each value."""
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] = counts[rank:] + counts[:-rank]
    return counts


def rank_sum_counts(m: int, n: int) -> Floats:
    """In how many choices of m of m + n ranks Mann's and Whitney's U has each value from 0 to m * n."""
    # chosen[k, s]: choices of k ranks so far whose sum is s above the smallest possible for k ranks.
    chosen: Floats = np.zeros((m + 1, m * n + 1))
    chosen[0, 0] = 1
    for rank in range(1, m + n + 1):
        for k in range(min(rank, m), 0, -1):
            above = rank - k
            if above <= n:
                chosen[k, above:] += chosen[k - 1, : m * n + 1 - above]
    counts: Floats = chosen[m]
    return counts
