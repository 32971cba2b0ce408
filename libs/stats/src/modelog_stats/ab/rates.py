"""Two rates of rare events (errors, slow answers), compared at any time: exact evidence from four counts.

For a rate p, the likelihood of what came under a mixture of rates, divided by that under p, is a martingale that
begins at 1, whichever arm the next request goes to (H. Robbins, Annals of Mathematical Statistics 41 (1970) 1397-1409;
the beta-binomial mixture of S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Annals of Statistics 49 (2021) 1055-1080).
So is the product of both arms'. Its least value over all pairs of rates that a hypothesis allows exceeds 1 / alpha at
any time with a probability of alpha at most while the hypothesis is true: an e-process (L. Wasserman, A. Ramdas, S.
Balakrishnan, Universal inference, PNAS 117 (2020) 16880-16890; R. Turner, P. Gruenwald, Exact anytime-valid confidence
intervals for contingency tables and beyond, Statistics & Probability Letters 198 (2023)). No normal approximation, so
it holds for three errors in a thousand requests as for three hundred. The mixture is Beta(1/2, 1/2), which costs least
where rates are near 0 (R. Krichevsky, V. Trofimov, IEEE Transactions on Information Theory 27 (1981) 199-207).
Assumes that a request's chance to fail depends on its arm only and stays while the counts are gathered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from modelog_stats.checks import BadInput, Column, Floats, between

PRIOR = 0.5
# Halvings of the interval in which the likeliest allowed rate lies: to 1e-9.
HALVINGS = 30
# An interval's end is looked for among so many points, and again between two of them: to 2e-6.
POINTS, ROUNDS = 33, 4


def log_evidence(events_a: Column, n_a: Column, events_b: Column, n_b: Column, apart: Column = 0.0) -> Floats:
    """Logarithm of the evidence that the rate of b is more than `apart` above that of a; arrays or numbers.

    Against "b's rate is at most a's + apart"; exp(-max over all looks) is a p-value that may be looked at any time.
    """
    k_a, k_b = np.asarray(events_a, np.float64), np.asarray(events_b, np.float64)
    size_a, size_b = np.asarray(n_a, np.float64), np.asarray(n_b, np.float64)
    gap = np.asarray(apart, np.float64)
    likeliest = _log_likelihood(k_a, size_a, _rate(k_a, size_a)) + _log_likelihood(k_b, size_b, _rate(k_b, size_b))
    allowed = _rate(k_b, size_b) - _rate(k_a, size_a) <= gap
    most = np.where(allowed, likeliest, _likeliest_at(k_a, size_a, k_b, size_b, gap))
    return np.asarray(_log_mixture(k_a, size_a) + _log_mixture(k_b, size_b) - most)


def _rate(events: Floats, n: Floats) -> Floats:
    return np.asarray(events / np.maximum(n, 1))


def _log_mixture(events: Floats, n: Floats) -> Floats:
    return np.asarray(betaln(events + PRIOR, n - events + PRIOR) - betaln(PRIOR, PRIOR))


def _log_likelihood(events: Floats, n: Floats, rate: Floats) -> Floats:
    return np.asarray(xlogy(events, rate) + xlog1py(n - events, -rate))


def _likeliest_at(k_a: Floats, n_a: Floats, k_b: Floats, n_b: Floats, apart: Floats) -> Floats:
    """The largest likelihood of rates that are exactly `apart`; it is concave in a's rate."""
    if not apart.any():
        both = _rate(k_a + k_b, n_a + n_b)
        return _log_likelihood(k_a, n_a, both) + _log_likelihood(k_b, n_b, both)
    ends = np.maximum(0.0, -apart), np.minimum(1.0, 1.0 - apart)
    low, high = (np.broadcast_to(end, np.broadcast(k_a, k_b, apart).shape) for end in ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(HALVINGS):
            p = (low + high) / 2
            slope = k_a / p - (n_a - k_a) / (1 - p) + k_b / (p + apart) - (n_b - k_b) / (1 - p - apart)
            low, high = np.where(slope > 0, p, low), np.where(slope > 0, high, p)
    # Where the likeliest rate is at an end, the halvings stop just beside it.
    found = [_both(k_a, n_a, k_b, n_b, p, apart) for p in ((low + high) / 2, *ends)]
    return np.asarray(np.fmax(found[0], np.fmax(found[1], found[2])))


def _both(k_a: Floats, n_a: Floats, k_b: Floats, n_b: Floats, p: Floats, apart: Floats) -> Floats:
    return _log_likelihood(k_a, n_a, p) + _log_likelihood(k_b, n_b, np.clip(p + apart, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class RateTest:
    """Whether b's rate is above a's (harm), and whether it is less than `margin` above it (safety).

    The whole state, eight numbers: counts, and the largest evidence so far of both, as logarithms.
    """

    margin: float
    events_a: int = 0
    n_a: int = 0
    events_b: int = 0
    n_b: int = 0
    harm: float = 0.0
    safety: float = 0.0

    def __post_init__(self) -> None:
        between(self.margin, "margin", 0, 1)

    def add(self, events_a: int, n_a: int, events_b: int, n_b: int) -> RateTest:
        """The state after more requests of both arms, any number of them; a look is taken at its end."""
        for name, events, n in (("events_a", events_a, n_a), ("events_b", events_b, n_b)):
            if not 0 <= events <= n:
                raise BadInput(name, f"{events} is not allowed; from 0 to the number of requests, {n}, is needed")
        a, b = (self.events_a + events_a, self.n_a + n_a), (self.events_b + events_b, self.n_b + n_b)
        return replace(
            self,
            events_a=a[0], n_a=a[1], events_b=b[0], n_b=b[1],
            harm=max(self.harm, float(log_evidence(*a, *b))),
            safety=max(self.safety, float(log_evidence(*b, *a, -self.margin))),
        )  # fmt: skip

    @property
    def harm_p(self) -> float:
        """Of "b's rate is not above a's"; valid at any time."""
        return math.exp(-self.harm)

    @property
    def safety_p(self) -> float:
        """Of "b's rate is `margin` or more above a's"; valid at any time."""
        return math.exp(-self.safety)

    @property
    def difference(self) -> float:
        """Rate of b minus rate of a."""
        return self.events_b / max(self.n_b, 1) - self.events_a / max(self.n_a, 1)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Differences that are not refused now, each side at alpha / 2: a confidence sequence."""
        a, b = (self.events_a, self.n_a), (self.events_b, self.n_b)
        enough, found = math.log(2 / alpha), self.difference

        def above(apart: Floats) -> Floats:
            return log_evidence(*a, *b, apart) - enough

        def below(apart: Floats) -> Floats:
            return log_evidence(*b, *a, -apart) - enough

        return _end(above, found, -1.0), _end(below, found, 1.0)


def _end(excess: Callable[[Floats], Floats], inside: float, outside: float) -> float:
    """Where the excess, which grows from `inside` to `outside`, passes zero; `outside` where it does not."""
    for _ in range(ROUNDS):
        points = np.linspace(inside, outside, POINTS)
        passed = np.flatnonzero(excess(points) > 0)
        if not len(passed):
            return outside
        if passed[0] == 0:
            return inside
        inside, outside = float(points[passed[0] - 1]), float(points[passed[0]])
    return outside
