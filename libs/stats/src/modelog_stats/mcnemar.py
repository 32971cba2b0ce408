"""McNemar's test: which of two models is right more often on the same rows.

Q. McNemar, Psychometrika 12 (1947) 153-157. The mid-p test is M. Fagerland, S. Lydersen, P. Laake, The McNemar test for
binary matched-pairs data: mid-p and asymptotic are better than exact conditional, BMC Medical Research Methodology
13:91 (2013). The interval of the difference is D. Bonett, R. Price, Adjusted Wald confidence interval for a
difference of binomial proportions based on paired data, J. of Educational and Behavioral Statistics 37 (2012) 479-488.
"""

from __future__ import annotations

import math
from typing import Literal

import scipy.special
import scipy.stats

from modelog_stats import normal
from modelog_stats.checks import BadInput, Column, binary
from modelog_stats.result import Result

Method = Literal["exact", "mid-p", "chi-squared"]

# Below this many rows that only one model has right the chi-squared distribution is a poor one.
FEW = 25


def compare_accuracy(
    a_right: Column, b_right: Column, *, method: Method | None = None, confidence: float = 0.95
) -> Result:
    """Accuracy of `b` minus that of `a`, given for each row whether each was right (0 or 1).

    Without a method it is mid-p for fewer than 25 rows that only one has right, else chi-squared with continuity
    correction. Assumes independent rows.
    """
    first, second = binary(a_right, "a_right"), binary(b_right, "b_right")
    if len(first) != len(second):
        raise BadInput(
            "b_right", f"{len(second)} rows are not allowed; as many as in a_right, {len(first)}, are needed"
        )
    return of_counts(int((first & ~second).sum()), int((second & ~first).sum()), len(first), method, confidence)


def of_counts(only_a: int, only_b: int, n: int, method: Method | None = None, confidence: float = 0.95) -> Result:
    """The test from the rows that only one of the two has right, of `n` rows."""
    if min(only_a, only_b) < 0 or only_a + only_b > n or n < 1:
        raise BadInput("n", f"{n} rows are not allowed; at least 1 and the {only_a} + {only_b} that differ are needed")
    method = method or ("mid-p" if only_a + only_b < FEW else "chi-squared")
    low, high = interval(only_a, only_b, n, confidence)
    return Result(
        what="accuracy",
        estimate=(only_b - only_a) / n,
        low=low,
        high=high,
        p_value=p_value(only_a, only_b, method),
        method=f"McNemar, {method}",
        n=n,
        units="rows",
        confidence=confidence,
    )


def p_value(only_a: int, only_b: int, method: Method) -> float:
    """Two-sided; 1 where the two never differ."""
    differing, fewer = only_a + only_b, min(only_a, only_b)
    if differing == 0:
        return 1.0
    if method == "chi-squared":
        statistic = max(0, abs(only_a - only_b) - 1) ** 2 / differing
        return float(scipy.special.chdtrc(1, statistic))
    twice = 2 * float(scipy.stats.binom.cdf(fewer, differing, 0.5))
    half = 0.0 if method == "exact" else float(scipy.stats.binom.pmf(fewer, differing, 0.5))
    return min(1.0, twice - half)


def interval(only_a: int, only_b: int, n: int, confidence: float) -> tuple[float, float]:
    """Bonett's and Price's interval of the difference of the two shares."""
    a, b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    margin = normal.quantile(confidence) * math.sqrt((a + b - (b - a) ** 2) / (n + 2))
    return max(-1.0, b - a - margin), min(1.0, b - a + margin)
