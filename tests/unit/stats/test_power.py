"""Sizes of A/B tests: against R's documented examples and against simulated tests."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from modelog_stats import power
from modelog_stats.checks import BadInput


def test_proportions_are_those_of_r() -> None:
    # The examples of power.prop.test.
    assert power.proportions_power(50, 0.5, 0.75) == pytest.approx(0.740165901)
    assert power.proportions_size(0.5, 0.75, power=0.9) == 77
    assert 0.5 + power.proportions_detectable(50, 0.5) == pytest.approx(0.766830044, abs=1e-5)


def test_means_are_those_of_r() -> None:
    # The examples of power.t.test.
    assert power.means_power(20, 1, 1) == pytest.approx(0.868952802)
    assert power.means_size(1, 1, power=0.9) == 23
    assert power.means_detectable(20, 1, power=0.9) == pytest.approx(1.05197, abs=1e-4)


def test_simulated_tests_find_the_effect_as_often_as_planned() -> None:
    rng, tests = np.random.default_rng(1977), 2_000
    n = power.proportions_size(0.1, 0.15, ratio=2)
    a, b = rng.binomial(n, 0.1, tests) / n, rng.binomial(2 * n, 0.15, tests) / (2 * n)
    pooled = (a + 2 * b) / 3
    z = (b - a) / np.sqrt(pooled * (1 - pooled) * 1.5 / n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.04)
    n = power.means_size(0.5, 2, power=0.9, ratio=0.5)
    old, new = rng.normal(0, 2, (tests, n)), rng.normal(0.5, 2, (tests, n // 2))
    p_values = scipy.stats.ttest_ind(new, old, axis=1).pvalue
    assert np.mean(p_values < 0.05) == pytest.approx(0.9, abs=0.03)


@given(st.floats(0.02, 0.9), st.floats(0.01, 0.09), st.floats(0.5, 0.95), st.floats(0.2, 5))
def test_size_and_detectable_effect_are_inverse(base: float, step: float, wanted: float, ratio: float) -> None:
    n = power.proportions_size(base, base + step, power=wanted, ratio=ratio)
    if n > 2:
        assert power.proportions_power(n, base, base + step, ratio=ratio) >= wanted - 1e-9
        assert power.proportions_power(n - 1, base, base + step, ratio=ratio) < wanted
        assert power.proportions_detectable(n, base, power=wanted, ratio=ratio) <= step + 1e-6
    values = power.means_size(step, 1, power=wanted, ratio=ratio)
    assert power.means_detectable(values, 1, power=wanted, ratio=ratio) <= step + 1e-6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: power.proportions_size(0.1, 0.1), "other: 0.1 is not allowed; it must differ from base"),
        (lambda: power.proportions_size(0.1, 1.2), "other: 1.2 is not allowed; it must lie between 0 and 1"),
        (lambda: power.proportions_size(0.1, 0.2, power=0.01), "power: 0.01 is not allowed; it must lie between 0.05"),
        (lambda: power.proportions_size(0.1, 0.1 + 1e-9), "difference: it is too small: not even 1e.12 events"),
        (lambda: power.proportions_detectable(3, 0.5), "n: 3 events are too few to find any increase over 0.5"),
        (lambda: power.means_size(0, 1), "difference: 0 is not allowed; a difference to find is needed"),
        (lambda: power.means_power(1, 1, 1), "n: 1 is not allowed; both arms together need more than two values"),
        (lambda: power.means_power(10, 1, -1), "sd: -1 is not allowed; it must lie between 0 and inf"),
    ],
)
def test_plans_without_an_answer_are_refused_by_name(call: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call()  # type: ignore[operator]
