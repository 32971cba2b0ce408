"""The mean of paired, bounded differences, looked at any time: what is gained when two models answer the same rows.

Each difference d lies in [-1, 1]. Somebody who does not believe that its mean is above m stakes, on each row, a part
`bet` of what they have on d being above m, at odds that would be fair if the mean were m: their capital, the product of
1 + bet (d - m), is a supermartingale if no row's expected difference is above m, whatever the rows before were. It
exceeds 1 / alpha at any time with a probability of alpha at most, and so does the mean of the capitals of several bets.
The m that are not refuted are a confidence sequence (I. Waudby-Smith, A. Ramdas, Estimating means of bounded random
variables by betting, Journal of the Royal Statistical Society B 86 (2024) 1-27; a mixture over constant bets is what
they call diversified). Differences of two similar models are small beside their range, of which betting makes more
than an empirical Bernstein bound, whose scale is the range.

The capital itself would need all rows again for each m. Four power sums bound it from below, so that the state has
seven numbers: for u of at least -risk (risk below 1),

    log(1 + u) >= u - u^2/2 + u^3/3 - cost u^4,  cost = (-log(1 - risk) - risk - risk^2/2 - risk^3/3) / risk^4,

because (log(1 + u) - u + u^2/2 - u^3/3) / u^4 = -integral over t from 0 to 1 of t^3 / (1 + u t), which grows with u.
(X. Fan, I. Grama, Q. Liu, Exponential inequalities for martingales with applications, Electronic Journal of Probability
20 (2015) 1, lemma 4.1, is the same of the second order.) What that costs is tested against the capital itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from modelog_stats.checks import BadInput, Column, Floats, between, finite
from modelog_stats.result import Result

# From what a million rows call for up to nearly all.
BETS = np.geomspace(0.005, 0.9, 18)
# An end of the interval is looked for among so many points, and again between two of them: to 2e-6.
POINTS, ROUNDS = 33, 4

Sums = tuple[float, float, float, float]


def log_evidence(rows: Column, sums: Sequence[Column], apart: Column) -> Floats:
    """Logarithm of the evidence that the mean is above `apart`, from the sums of the rows' first four powers.

    Against "no row's expected difference is above `apart`", from -1 to 1. Arrays of shapes that fit, or numbers.
    """
    n, m, s1, s2, s3, s4 = (np.asarray(given, np.float64)[..., None] for given in (rows, apart, *sums))
    t1, t2 = s1 - n * m, s2 - 2 * m * s1 + n * m**2
    t3 = s3 - 3 * m * s2 + 3 * m**2 * s1 - n * m**3
    t4 = s4 - 4 * m * s3 + 6 * m**2 * s2 - 4 * m**3 * s1 + n * m**4
    bet = BETS / np.maximum(1 + m, 1)
    capital = bet * t1 - bet**2 * t2 / 2 + bet**3 * t3 / 3 - _cost(bet * (1 + m)) * bet**4 * t4
    return np.asarray(logsumexp(capital, axis=-1) - math.log(len(BETS)))


def _cost(risk: Floats) -> Floats:
    """What the bound subtracts of the fourth power; its series where the difference of logarithms is lost in noise."""
    large = np.maximum(risk, 0.01)
    exact = (-np.log1p(-large) - large - large**2 / 2 - large**3 / 3) / large**4
    return np.where(risk >= 0.01, exact, 1 / 4 + risk / 5 + risk**2 / 6 + risk**3)


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The test's whole state: rows, power sums of their differences, and where the mean lies by all looks so far.

    The differences of one look are those of rows that were not counted before. Both ends hold at all looks at once with
    a probability of 1 - alpha, for a mean that stays; one that moves was, at some time, on the side that they say.
    """

    alpha: float = 0.05
    n: int = 0
    sums: Sums = (0.0, 0.0, 0.0, 0.0)
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        between(self.alpha, "alpha", 0, 1)

    def add(self, differences: Column) -> PairedTest:
        """The state after more rows, (n,) within [-1, 1]; one look is taken at their end."""
        values = finite(differences, "differences", at_least=0)
        wrong = values[np.abs(values) > 1]
        if len(wrong):
            raise BadInput("differences", f"{wrong[0]} is not allowed; from -1 to 1 is")
        if not len(values):
            return self
        n = self.n + len(values)
        s1, s2, s3, s4 = (before + float((values**power).sum()) for power, before in enumerate(self.sums, start=1))
        enough, mean = math.log(2 / self.alpha), min(max(s1 / n, -1.0), 1.0)
        low = _end(lambda m: log_evidence(n, (s1, s2, s3, s4), m) - enough, mean)
        high = -_end(lambda m: log_evidence(n, (-s1, s2, -s3, s4), m) - enough, -mean)
        return replace(self, n=n, sums=(s1, s2, s3, s4), low=max(self.low, low), high=min(self.high, high))

    @property
    def estimate(self) -> float:
        """The mean difference so far, 0 of no rows."""
        return self.sums[0] / self.n if self.n else 0.0

    @property
    def p_value(self) -> float:
        """Of "the mean is 0", by this look alone; valid at any time."""
        s1, s2, s3, s4 = self.sums
        sides = [float(log_evidence(self.n, (sign * s1, s2, sign * s3, s4), 0.0)) for sign in (1, -1)]
        return min(1.0, 2 * math.exp(-max(sides)))

    def report(self, what: str = "mean difference") -> Result:
        """What the test says now; it may be asked at any time and as often as one likes."""
        return Result(
            what=what,
            estimate=self.estimate,
            low=self.low,
            high=self.high,
            p_value=self.p_value,
            method="confidence sequence by betting",
            n=self.n,
            units="pairs",
            confidence=1 - self.alpha,
        )


def _end(excess: Callable[[Floats], Floats], inside: float) -> float:
    """The least mean up to `inside` that is not refuted: all below it are."""
    outside = -1.0
    for _ in range(ROUNDS):
        points = np.linspace(outside, inside, POINTS)
        kept = np.flatnonzero(excess(points) < 0)
        if not len(kept):
            return inside
        if kept[0] == 0:
            return outside
        outside, inside = float(points[kept[0] - 1]), float(points[kept[0]])
    return outside
