"""Confidence sequences of the difference between two arms to which events are assigned at random, with a known share.

Each event is scored by the augmented inverse-probability-weighted difference, whose expectation is the true difference
whatever happened before, so its sum is a martingale plus a line: the interval holds at all times at once, also when
outcomes change over time (then for the mean difference so far).

- exact: outcomes lie in a known range; empirical Bernstein with the gamma-exponential mixture, S. Howard, A. Ramdas,
  J. McAuliffe, J. Sekhon, Annals of Statistics 49 (2021) 1055-1080, theorem 4 and proposition 9.
- asymptotic: only a finite variance is assumed; I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas,
  Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 52 (2024), theorem 2.2
  and section 3. A statement about many events: nothing is told before `minimum` scored ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from modelog_stats.ab.boundaries import (
    best_rho,
    gamma_exponential_bound,
    log_gamma_exponential_mixture,
    log_normal_mixture,
    normal_bound,
)
from modelog_stats.checks import BadInput, Bools, Column, Floats, between, binary, finite
from modelog_stats.result import Result

MINIMUM = 200


@dataclass(frozen=True, slots=True)
class RandomisedTest:
    """The test's whole state, a dozen numbers.

    `share` is the probability with which an event went to b. `planned` events are those at which the interval is to
    be tightest, with outcomes of a standard deviation `sd`: guesses that cost width, never validity. With `outcomes`
    (lowest, highest) the test is exact, without it asymptotic. `evidence` is the logarithm of the largest evidence
    against equal arms so far.
    """

    planned: int
    sd: float
    share: float = 0.5
    alpha: float = 0.05
    outcomes: tuple[float, float] | None = None
    minimum: int = MINIMUM
    events: tuple[int, int] = (0, 0)
    totals: tuple[float, float] = (0.0, 0.0)
    scored: int = 0
    score: float = 0.0
    spread: float = 0.0
    evidence: float = 0.0

    def __post_init__(self) -> None:
        between(self.planned, "planned", 0, math.inf)
        between(self.sd, "sd", 0, math.inf)
        between(self.share, "share", 0, 1)
        between(self.alpha, "alpha", 0, 1)
        if self.outcomes is not None and not self.outcomes[0] < self.outcomes[1]:
            raise BadInput("outcomes", f"{self.outcomes} is not allowed; (lowest, highest) is needed")

    @property
    def rho(self) -> float:
        per_event = self.sd**2 * (1 / self.share + 1 / (1 - self.share))
        return best_rho(self.planned * per_event, self.alpha)

    @property
    def scale(self) -> float:
        """How far a score can be from what was expected of it; the proof of theorem 4 needs no more."""
        if self.outcomes is None:
            raise BadInput("outcomes", "they are needed for the exact sequence: (lowest, highest)")
        return (self.outcomes[1] - self.outcomes[0]) / min(self.share, 1 - self.share)

    def add(self, in_b: Column, outcome: Column) -> RandomisedTest:
        """The state after more events in their order, (n,) of 0 (a) or 1 (b) and (n,) outcomes; looks after each."""
        values = finite(outcome, "outcome", at_least=0)
        if not len(values):
            return self
        arm = binary(in_b, "in_b")
        if len(arm) != len(values):
            raise BadInput("outcome", f"{len(values)} are not allowed; as many as in in_b, {len(arm)}, are needed")
        if self.outcomes is not None:
            wrong = values[(values < self.outcomes[0]) | (values > self.outcomes[1])]
            if len(wrong):
                raise BadInput(
                    "outcome", f"{wrong[0]} is not allowed; from {self.outcomes[0]} to {self.outcomes[1]} is"
                )
        counts_a, totals_a = before(values, ~arm, self.events[0], self.totals[0])
        counts_b, totals_b = before(values, arm, self.events[1], self.totals[1])
        known = (counts_a[:-1] > 0) & (counts_b[:-1] > 0)
        expected_a = totals_a[:-1] / np.maximum(counts_a[:-1], 1)
        expected_b = totals_b[:-1] / np.maximum(counts_b[:-1], 1)
        surprise = np.where(arm, (values - expected_b) / self.share, -(values - expected_a) / (1 - self.share))
        scores = self.score + np.cumsum(np.where(known, expected_b - expected_a + surprise, 0))
        spreads = self.spread + np.cumsum(np.where(known, surprise**2, 0))
        scored = self.scored + np.cumsum(known)
        told = scored >= (self.minimum if self.outcomes is None else 1)
        found = self.log_evidence(scores, spreads)[told]
        return replace(
            self,
            events=(int(counts_a[-1]), int(counts_b[-1])),
            totals=(float(totals_a[-1]), float(totals_b[-1])),
            scored=int(scored[-1]),
            score=float(scores[-1]),
            spread=float(spreads[-1]),
            evidence=max(self.evidence, float(found.max(initial=0.0))),
        )

    def log_evidence(self, scores: Floats, spreads: Floats) -> Floats:
        """Against equal arms, from the sums of scores and of squared surprises; arrays of one shape."""
        if self.outcomes is None:
            return log_normal_mixture(scores, spreads, self.rho)
        sides = [log_gamma_exponential_mixture(side, spreads, self.rho, self.scale) for side in (scores, -scores)]
        return np.asarray(np.logaddexp(*sides) - math.log(2))

    @property
    def estimate(self) -> float:
        return self.score / self.scored if self.scored else 0.0

    @property
    def p_value(self) -> float:
        """Valid at any time."""
        return math.exp(-self.evidence)

    @property
    def interval(self) -> tuple[float, float]:
        """The confidence sequence's interval now."""
        if self.scored < (self.minimum if self.outcomes is None else 1):
            return -math.inf, math.inf
        margin = self.bound(self.spread) / self.scored
        return self.estimate - margin, self.estimate + margin

    def bound(self, spread: float) -> float:
        """How far the sum of scores is from that of the true differences at most, at any time, with this spread."""
        if self.outcomes is None:
            return float(normal_bound(spread, self.rho, self.alpha))
        return gamma_exponential_bound(spread, self.rho, self.scale, self.alpha / 2)

    def report(self, what: str = "mean outcome") -> Result:
        """What the test says now; it may be asked at any time and as often as one likes."""
        low, high = self.interval
        kind = "asymptotic" if self.outcomes is None else "empirical Bernstein"
        return Result(
            what=what,
            estimate=self.estimate,
            low=low,
            high=high,
            p_value=self.p_value,
            method=f"confidence sequence, {kind}",
            n=sum(self.events),
            units="events",
            confidence=1 - self.alpha,
        )


def before(values: Floats, which: Bools, count: int, total: float) -> tuple[Floats, Floats]:
    """Events and sum of outcomes of one arm before each event and after the last, shapes (n + 1,)."""
    counts = count + np.concatenate(([0.0], np.cumsum(which)))
    totals = total + np.concatenate(([0.0], np.cumsum(np.where(which, values, 0))))
    return counts, totals
