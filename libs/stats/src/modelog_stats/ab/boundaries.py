"""Bounds that a sum of noise crosses at any time with a probability of alpha at most.

S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals
of Statistics 49 (2021) 1055-1080: the two-sided normal mixture (proposition 5, after H. Robbins 1970) and the
gamma-exponential mixture (proposition 9). `s` is the sum, `v` its variance process, `rho` where the bound is tight.
Functions of arrays; a statistic's logarithm is that of a supermartingale, so exp(-max) bounds a p-value.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
import scipy.special

from modelog_stats.checks import Column, Floats


def best_rho(v: float, alpha: float) -> float:
    """The rho whose two-sided normal bound is nearly tightest at `v` (Howard et al. 2021, section 3.5)."""
    return v / (2 * math.log(1 / alpha) + math.log(1 + 2 * math.log(1 / alpha)))


def log_normal_mixture(s: Column, v: Column, rho: float) -> Floats:
    """Logarithm of the normal mixture; sub-Gaussian sums, or in the limit any with a finite variance."""
    total, spread = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64)
    return np.asarray(0.5 * np.log(rho / (spread + rho)) + total**2 / (2 * (spread + rho)))


def normal_bound(v: Column, rho: float, alpha: float) -> Floats:
    """|s| stays below this at all times with probability 1 - alpha."""
    spread = np.asarray(v, dtype=np.float64)
    return np.asarray(np.sqrt((spread + rho) * (np.log1p(spread / rho) - 2 * math.log(alpha))))


def log_gamma_exponential_mixture(s: Column, v: Column, rho: float, c: float) -> Floats:
    """Logarithm of the one-sided gamma-exponential mixture; sub-exponential sums of scale `c`."""
    total, spread = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64)
    prior, shape = rho / c**2, (spread + rho) / c**2
    x = (c * total + spread + rho) / c**2
    within = np.maximum(x, np.finfo(np.float64).tiny)
    with np.errstate(divide="ignore"):
        value = (
            prior * math.log(prior)
            - math.lgamma(prior)
            - math.log(scipy.special.gammainc(prior, prior))
            + scipy.special.gammaln(shape)
            + np.log(scipy.special.gammainc(shape, within))
            - shape * np.log(within)
            + (c * total + spread) / c**2
        )
    # A sum this far below zero is no evidence of one above it.
    return np.where(x > 0, value, -np.inf)


def gamma_exponential_bound(v: float, rho: float, c: float, alpha: float) -> float:
    """s stays below this at all times with probability 1 - alpha."""

    def excess(s: float) -> float:
        return float(log_gamma_exponential_mixture(s, v, rho, c)) + math.log(alpha)

    most = 2 * float(normal_bound(v, rho, alpha)) + c
    while excess(most) < 0:
        most *= 2
    return float(scipy.optimize.brentq(excess, 0, most))
