"""Intervals and p-values of estimates that are normally distributed."""

from __future__ import annotations

import math

import scipy.special


def quantile(confidence: float) -> float:
    """How many standard errors the two-sided interval reaches to each side."""
    return float(scipy.special.ndtri(0.5 + confidence / 2))


def margin(variance: float, confidence: float = 0.95) -> float:
    """Half the width of the two-sided interval."""
    return quantile(confidence) * math.sqrt(variance)


def p_value(value: float, variance: float) -> float:
    """Two-sided p of an estimate being this far from zero; without variance 1 if equal, else 0."""
    if variance == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * scipy.special.ndtr(-abs(value) / math.sqrt(variance)))
