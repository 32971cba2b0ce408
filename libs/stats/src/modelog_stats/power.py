"""Before an A/B test: how many events it needs, and what it can find with those that there will be.

For a test of fixed length read once at its end, two-sided. A test that is watched all the time (`modelog_stats.ab`)
needs more: 1.5 to 2 times as many where the effect is as small as planned, and fewer where it is larger.

J. Fleiss, B. Levin, M. Paik, Statistical methods for rates and proportions (2003), 4.3; J. Cohen, Statistical power
analysis for the behavioral sciences (1988), 2. The same formulas as R's `power.prop.test` and `power.t.test`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import scipy.optimize
import scipy.special
import scipy.stats

from modelog_stats.checks import BadInput, between

# What no test will reach; an answer above is none.
MOST = 1e12


def proportions_power(n: float, base: float, other: float, *, alpha: float = 0.05, ratio: float = 1.0) -> float:
    """Chance that `n` events in arm a and `ratio` times as many in b show the difference of two true shares."""
    _shares(base, other)
    between(alpha, "alpha", 0, 1)
    _positive(n, "n")
    _positive(ratio, "ratio")
    pooled = (base + ratio * other) / (1 + ratio)
    same = math.sqrt(pooled * (1 - pooled) * (1 + 1 / ratio))
    apart = math.sqrt(base * (1 - base) + other * (1 - other) / ratio)
    z = float(scipy.special.ndtri(1 - alpha / 2))
    return float(scipy.special.ndtr((math.sqrt(n) * abs(other - base) - z * same) / apart))


def proportions_size(base: float, other: float, *, power: float = 0.8, alpha: float = 0.05, ratio: float = 1.0) -> int:
    """Events in arm a that give this power; arm b needs `ratio` times as many."""
    between(power, "power", alpha, 1)
    return _whole(lambda n: proportions_power(n, base, other, alpha=alpha, ratio=ratio) - power)


def proportions_detectable(
    n: float, base: float, *, power: float = 0.8, alpha: float = 0.05, ratio: float = 1.0
) -> float:
    """The smallest increase over the share `base` that `n` events in arm a find with this power."""
    between(power, "power", alpha, 1)
    room = 1 - between(base, "base", 0, 1)

    def excess(step: float) -> float:
        return proportions_power(n, base, base + step, alpha=alpha, ratio=ratio) - power

    if excess(room * (1 - 1e-9)) < 0:
        raise BadInput("n", f"{n:g} events are too few to find any increase over {base:g} with power {power:g}")
    return float(scipy.optimize.brentq(excess, room * 1e-9, room * (1 - 1e-9)))


def means_power(n: float, difference: float, sd: float, *, alpha: float = 0.05, ratio: float = 1.0) -> float:
    """Chance that a t test of `n` values in arm a and `ratio` times as many in b shows a difference of the means."""
    between(alpha, "alpha", 0, 1)
    _positive(sd, "sd")
    _positive(ratio, "ratio")
    df = n * (1 + ratio) - 2
    if df <= 0:
        raise BadInput("n", f"{n:g} is not allowed; both arms together need more than two values")
    centre = abs(difference) / sd * math.sqrt(n * ratio / (1 + ratio))
    t = float(scipy.special.stdtrit(df, 1 - alpha / 2))
    return float(scipy.stats.nct.sf(t, df, centre))


def means_size(difference: float, sd: float, *, power: float = 0.8, alpha: float = 0.05, ratio: float = 1.0) -> int:
    """Values in arm a that give this power; arm b needs `ratio` times as many."""
    if difference == 0:
        raise BadInput("difference", "0 is not allowed; a difference to find is needed")
    between(power, "power", alpha, 1)
    return _whole(lambda n: means_power(n, difference, sd, alpha=alpha, ratio=ratio) - power)


def means_detectable(n: float, sd: float, *, power: float = 0.8, alpha: float = 0.05, ratio: float = 1.0) -> float:
    """The smallest difference of means that `n` values in arm a find with this power."""
    between(power, "power", alpha, 1)

    def excess(effect: float) -> float:
        return means_power(n, effect * sd, sd, alpha=alpha, ratio=ratio) - power

    most = 1.0
    while excess(most) < 0:
        most *= 2
    return sd * float(scipy.optimize.brentq(excess, 0, most))


def _whole(excess: Callable[[float], float]) -> int:
    """The least whole number of events, from two on, at which `excess` is not below zero."""
    if excess(MOST) < 0:
        raise BadInput("difference", f"it is too small: not even {MOST:g} events would show it")
    least = 2.0
    if excess(least) >= 0:
        return 2
    most = 2 * least
    while excess(most) < 0:
        most *= 2
    return math.ceil(float(scipy.optimize.brentq(excess, least, most)))


def _shares(base: float, other: float) -> None:
    between(base, "base", 0, 1)
    between(other, "other", 0, 1)
    if base == other:
        raise BadInput("other", f"{other} is not allowed; it must differ from base for there to be something to find")


def _positive(value: float, field: str) -> None:
    between(value, field, 0, math.inf)
