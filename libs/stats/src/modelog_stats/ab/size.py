"""Before a test that is watched all the time: how many events its confidence sequence needs to find a difference."""

from __future__ import annotations

import math

import scipy.optimize
import scipy.special

from modelog_stats.ab.randomised import RandomisedTest
from modelog_stats.checks import BadInput, between
from modelog_stats.power import MOST


def watched_size(test: RandomisedTest, difference: float, *, power: float = 0.8) -> int:
    """Events of both arms after which the interval lies off zero with this power; it may well do so earlier."""
    between(power, "power", test.alpha, 1)
    if difference == 0:
        raise BadInput("difference", "0 is not allowed; a difference to find is needed")
    per_event = test.sd**2 * (1 / test.share + 1 / (1 - test.share))
    z = float(scipy.special.ndtri(power))

    def excess(n: float) -> float:
        spread = n * per_event
        return abs(difference) * n - test.bound(spread) - z * math.sqrt(spread)

    least = test.minimum if test.outcomes is None else 1
    if excess(least) >= 0:
        return least
    most = 2.0 * least
    while excess(most) < 0:
        most *= 2
        if most > MOST:
            raise BadInput("difference", f"it is too small: not even {MOST:g} events would show it")
    return math.ceil(float(scipy.optimize.brentq(excess, most / 2, most)))
