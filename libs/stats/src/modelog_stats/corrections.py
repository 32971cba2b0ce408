"""p-values corrected for the number of comparisons."""

from __future__ import annotations

import numpy as np
import scipy.stats

from modelog_stats.checks import BadInput, Column, Floats, finite


def holm(p_values: Column) -> Floats:
    """Bounds the chance of any false finding, assuming nothing.

    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian J. of Statistics 6 (1979) 65-70.
    """
    given = _checked(p_values)
    order = np.argsort(given)
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def benjamini_hochberg(p_values: Column) -> Floats:
    """Bounds the share of false findings among the findings, assuming independent or positively dependent tests.

    Y. Benjamini, Y. Hochberg, J. of the Royal Statistical Society B 57 (1995) 289-300.
    """
    given = _checked(p_values)
    return np.asarray(scipy.stats.false_discovery_control(given, method="bh")) if len(given) else given


def _checked(p_values: Column) -> Floats:
    given = finite(p_values, "p_values", at_least=0)
    wrong = given[(given < 0) | (given > 1)]
    if len(wrong):
        raise BadInput("p_values", f"{wrong[0]} is not allowed; probabilities from 0 to 1 are needed")
    return given
