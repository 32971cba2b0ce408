"""Mixture sequential probability ratio test of two arms: always-valid p-value and interval of a difference of means.

R. Johari, P. Koomen, L. Pekelis, D. Walsh, Peeking at A/B tests: why it matters, and what to do about it, KDD 2017; the
same, Always valid inference: continuous monitoring of A/B tests, Operations Research 70 (2022) 1806-1821. For shares
and for means with estimated variances the paper's statement is a limit of many events: nothing is told before `minimum`
events of each arm. Assumes independent outcomes whose distribution does not change while the test runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from modelog_stats.ab.arm import NOTHING, Arm
from modelog_stats.ab.boundaries import log_normal_mixture, normal_bound
from modelog_stats.checks import between
from modelog_stats.result import Result

# Simulated A/A tests, looked at after each of 4,000 events, keep their level from here on, from shares of 1 % on.
MINIMUM = 100


@dataclass(frozen=True, slots=True)
class MixtureSprt:
    """The test's whole state: dataclasses of numbers, so any codec stores it.

    `tau` is the standard deviation of the differences that were thought possible beforehand: about the smallest one
    that matters. It must not be chosen by the outcomes. `p_value` and `interval` are the best so far; an
    interval whose ends have crossed says that the difference changed while the test ran.
    """

    tau: float
    alpha: float = 0.05
    minimum: int = MINIMUM
    a: Arm = NOTHING
    b: Arm = NOTHING
    p_value: float = 1.0
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        between(self.tau, "tau", 0, math.inf)
        between(self.alpha, "alpha", 0, 1)

    def add(self, a: Arm, b: Arm) -> MixtureSprt:
        """The state after more outcomes of both arms, in batches of any size; a look is taken at its end."""
        arms = replace(self, a=self.a.merged(a), b=self.b.merged(b))
        variance = arms.variance
        if min(arms.a.n, arms.b.n) < max(self.minimum, 2) or not variance > 0:
            return arms
        # In the theory's terms: the sum is the estimate in units of its variance, and information is 1 / variance.
        rho, information = 1 / self.tau**2, 1 / variance
        evidence = float(log_normal_mixture(arms.estimate * information, information, rho))
        margin = float(normal_bound(information, rho, self.alpha)) * variance
        low, high = self.interval or (-math.inf, math.inf)
        return replace(
            arms,
            p_value=min(self.p_value, math.exp(-evidence)) if evidence > 0 else self.p_value,
            interval=(max(low, arms.estimate - margin), min(high, arms.estimate + margin)),
        )

    @property
    def estimate(self) -> float:
        """Mean of b minus mean of a."""
        return self.b.mean - self.a.mean

    @property
    def variance(self) -> float:
        """Of the estimate."""
        return self.a.variance / max(self.a.n, 1) + self.b.variance / max(self.b.n, 1)

    @property
    def decided(self) -> bool:
        """Whether the arms differ at level alpha; once true it stays so."""
        return self.p_value <= self.alpha

    def report(self, what: str = "mean outcome") -> Result:
        """What the test says now; it may be asked at any time and as often as one likes."""
        low, high = self.interval or (-math.inf, math.inf)
        return Result(
            what=what,
            estimate=self.estimate,
            low=low,
            high=high,
            p_value=self.p_value,
            method="mixture SPRT, always valid",
            n=self.a.n + self.b.n,
            units="events",
            confidence=1 - self.alpha,
        )
