"""How large a difference between two groups is, with intervals: Hedges' g and Cliff's delta."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

from modelog_stats.checks import BadInput, Column, Floats, finite, pairs

# Beyond this t only the spread's own error matters, and the noncentral t is hard to compute.
FAR = 100.0


@dataclass(frozen=True, slots=True)
class Effect:
    """A size without a unit, `b` over `a`, and what it is called at this value."""

    name: str
    value: float
    low: float
    high: float
    size: str
    confidence: float = 0.95


def hedges_g(a: Column, b: Column, *, paired: bool = False, confidence: float = 0.95) -> Effect:
    """Difference of means in standard deviations, corrected for small samples.

    L. Hedges, Distribution theory for Glass's estimator, J. of Educational Statistics 6 (1981) 107-128; the interval
    of the true effect by the noncentral t (G. Cumming, S. Finch 2001), which needs no such correction. Assumes normal
    values, of one variance where the groups are independent. Paired, it is the mean difference in standard deviations
    of the difference.
    """
    if paired:
        first, second = pairs(a, b, at_least=3)
        df, per_sd = len(first) - 1, math.sqrt(1 / len(first))
        spread = float((second - first).std(ddof=1))
    else:
        first, second = finite(a, "a", at_least=2), finite(b, "b", at_least=2)
        df, per_sd = len(first) + len(second) - 2, math.sqrt(1 / len(first) + 1 / len(second))
        spread = math.sqrt((len(first) * first.var() + len(second) * second.var()) / df)
    if not spread > 0:
        raise BadInput("b", "the values do not vary at all; an effect is measured in their standard deviations")
    d = float(second.mean() - first.mean()) / spread
    unbiased = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    low, high = (per_sd * bound for bound in noncentrality(d / per_sd, df, confidence))
    return Effect("Hedges' g", unbiased * d, low, high, named(abs(unbiased * d), 0.2, 0.5, 0.8), confidence)


def noncentrality(t: float, df: int, confidence: float) -> tuple[float, float]:
    """The noncentralities at which the observed t lies in either tail."""
    tails = (1 + confidence) / 2, (1 - confidence) / 2
    if abs(t) > FAR:
        low, high = sorted(t * math.sqrt(scipy.special.chdtri(df, tail) / df) for tail in tails)
        return low, high

    def bound(tail: float) -> float:
        def excess(centre: float) -> float:
            return float(scipy.stats.nct.cdf(t, df, centre)) - tail

        reach = 2 * math.sqrt(1 + t**2 / (2 * df))
        while not excess(t - reach) > 0 > excess(t + reach):
            reach *= 1.3
        return float(scipy.optimize.brentq(excess, t - reach, t + reach))

    return bound(tails[0]), bound(tails[1])


def cliffs_delta(a: Column, b: Column, *, confidence: float = 0.95) -> Effect:
    """How much more often a value of `b` is above one of `a` than below, from -1 to 1.

    N. Cliff, Dominance statistics: ordinal analyses to answer ordinal questions, Psychological Bulletin 114 (1993)
    494-509, with the asymmetric interval of D. Feng, N. Cliff (2004); sizes as in J. Romano et al. (2006). Assumes
    independent values and nothing of their distribution.
    """
    first, second = finite(a, "a", at_least=2), finite(b, "b", at_least=2)
    m, n = len(first), len(second)
    higher = np.sign(second[:, None] - first[None, :])
    delta = float(higher.mean())
    of_b, of_a = higher.mean(axis=1) - delta, higher.mean(axis=0) - delta
    # Cliff's unbiased variance, which may come out below zero, and the least that it can truly be.
    variance = m**2 * _squares(of_b) + n**2 * _squares(of_a) - _squares(higher - delta)
    variance = max(variance / (m * n * (m - 1) * (n - 1)), (1 - delta**2) / (m * n - 1))
    t = float(scipy.special.stdtrit(m + n - 2, 0.5 + confidence / 2))
    middle, base = delta - delta**3, 1 - delta**2 + t**2 * variance
    margin = t * math.sqrt(variance) * math.sqrt((1 - delta**2) ** 2 + t**2 * variance)
    low, high = ((middle - margin) / base, (middle + margin) / base) if base > 0 else (delta, delta)
    return Effect("Cliff's delta", delta, low, high, named(abs(delta), 0.147, 0.33, 0.474), confidence)


def _squares(values: Floats) -> float:
    return float((values**2).sum())


def named(value: float, small: float, medium: float, large: float) -> str:
    """Cohen's words for a size."""
    if value < small:
        return "negligible"
    if value < medium:
        return "small"
    return "medium" if value < large else "large"
