"""Repeated runs, effect sizes and corrections: against R and published examples, and the promised rates."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from modelog_stats import ranks
from modelog_stats.checks import BadInput
from modelog_stats.corrections import benjamini_hochberg, holm
from modelog_stats.effects import cliffs_delta, hedges_g
from modelog_stats.runs import compare_runs

# Student's sleep data, R's `sleep`.
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
# Hamilton depression scale factors (Hollander and Wolfe 1973, page 29), R's example of a paired wilcox.test.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
# Permeability of placental membranes (Hollander and Wolfe 1973, page 69), R's example of two samples.
AT_TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLIER = [1.15, 0.88, 0.90, 0.74, 1.21]


def test_paired_t_is_rs() -> None:
    found = compare_runs(DRUG_1, DRUG_2, design="paired")
    assert (found.estimate, found.low, found.high, found.p_value) == pytest.approx(
        (1.58, 0.700114237, 2.459885763, 0.00283289), rel=1e-6
    )
    assert (found.n, found.units) == (10, "pairs of runs")


def test_welch_is_rs() -> None:
    found = compare_runs(DRUG_1, DRUG_2, design="independent")
    assert (found.low, found.high, found.p_value) == pytest.approx((-0.205483231, 3.365483231, 0.0793941), rel=1e-6)


def test_signed_ranks_are_rs() -> None:
    # wilcox.test(x, y, paired = TRUE, conf.int = TRUE): V = 40.
    found = compare_runs(AFTER, BEFORE, design="paired", ranks=True)
    assert (found.estimate, found.low, found.high, found.p_value) == pytest.approx((0.46, 0.010, 0.786, 0.0390625))


def test_mann_whitney_is_rs() -> None:
    # wilcox.test(x, y, conf.int = TRUE): W = 35.
    found = compare_runs(EARLIER, AT_TERM, design="independent", ranks=True)
    assert (found.estimate, found.low, found.high, found.p_value) == pytest.approx(
        (0.305, -0.15, 0.76, 0.254412), rel=1e-5
    )


def test_corrected_t_by_hand() -> None:
    # Five folds: the variance of the mean is (1/5 + 1/4) instead of 1/5 times that of a difference.
    a, b = [0.80, 0.82, 0.78, 0.81, 0.79], [0.82, 0.85, 0.79, 0.84, 0.80]
    differences = np.subtract(b, a)
    found = compare_runs(a, b, design="resampled", test_share=0.2)
    t = differences.mean() / (differences.std(ddof=1) * math.sqrt(0.2 + 0.25))
    assert found.p_value == pytest.approx(2 * scipy.stats.t.sf(t, 4))
    assert found.p_value > compare_runs(a, b, design="paired").p_value


def test_corrected_t_keeps_its_level_where_the_plain_one_does_not() -> None:
    # Differences of overlapping training sets are correlated by about the share held out (Nadeau and Bengio 2003).
    rng, runs, folds, share = np.random.default_rng(2003), 1_000, 10, 0.1
    differences = math.sqrt(share) * rng.normal(size=(runs, 1)) + math.sqrt(1 - share) * rng.normal(size=(runs, folds))
    nothing = np.zeros(folds)
    corrected = sum(
        compare_runs(nothing, row, design="resampled", test_share=share).p_value < 0.05 for row in differences
    )
    plain = sum(compare_runs(nothing, row, design="paired").p_value < 0.05 for row in differences)
    assert scipy.stats.binom.ppf(0.0005, runs, 0.05) <= corrected <= scipy.stats.binom.isf(0.0005, runs, 0.05)
    assert plain > 2 * corrected


def test_rank_intervals_cover_at_least_as_often_as_promised() -> None:
    rng, runs = np.random.default_rng(1963), 1_000
    samples = rng.standard_t(3, size=(runs, 12)) + 1
    covered = sum(low <= 1 <= high for _, low, high in (ranks.pseudo_median(row, 0.9) for row in samples))
    assert covered >= scipy.stats.binom.ppf(0.0005, runs, 0.9)
    others = rng.standard_t(3, size=(runs, 7))
    shifted = sum(low <= 1 <= high for _, low, high in map(lambda a, b: ranks.shift(a, b, 0.9), others, samples))
    assert shifted >= scipy.stats.binom.ppf(0.0005, runs, 0.9)


def test_rank_counts_are_scipys() -> None:
    assert ranks.signed_rank_counts(4).tolist() == [1, 1, 1, 2, 2, 2, 2, 2, 1, 1, 1]
    for m, n in ((2, 3), (4, 4), (1, 5)):
        counts = ranks.rank_sum_counts(m, n)
        assert counts.sum() == math.comb(m + n, m)
        for statistic in range(m * n + 1):
            # A sample whose U is the statistic: scipy's exact p is the count's tail.
            upper = float(counts[statistic:].sum() / counts.sum())
            a = np.arange(n) + 0.5
            b = placed(statistic, m, n)
            found = scipy.stats.mannwhitneyu(b, a, alternative="greater", method="exact")
            assert (found.statistic, found.pvalue) == pytest.approx((statistic, upper))


def placed(statistic: int, m: int, n: int) -> np.ndarray:
    """m distinct values that are above `statistic` of the values 0.5, 1.5, ... n - 0.5 in sum."""
    above = [min(n, max(0, statistic - n * k)) for k in range(m)]
    return np.asarray([count + 0.001 * k for k, count in enumerate(above)])


def test_exact_and_normal_rank_intervals_meet() -> None:
    values = np.random.default_rng(8).normal(size=ranks.EXACT + 1)
    _, low, high = ranks.pseudo_median(values, 0.95)
    _, near_low, near_high = ranks.pseudo_median(values[:-1], 0.95)
    assert (low, high) == pytest.approx((near_low, near_high), abs=0.02)
    a, b = values[:45], values[45:] + 1
    _, low, high = ranks.shift(a, b, 0.95)
    _, near_low, near_high = ranks.shift(a, b[:-1], 0.95)
    assert (low, high) == pytest.approx((near_low, near_high), abs=0.05)


def test_too_few_runs_for_ranks_have_no_interval() -> None:
    found = compare_runs([1.0, 2.0, 3.0], [2.0, 3.5, 5.0], design="paired", ranks=True)
    assert (found.low, found.high, found.significant) == (-math.inf, math.inf, False)


values = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=12, unique=True)


@given(values, values, st.booleans())
def test_swapping_the_groups_swaps_the_sign(a: list[float], b: list[float], by_ranks: bool) -> None:
    there, back = (compare_runs(*pair, design="independent", ranks=by_ranks) for pair in ((a, b), (b, a)))
    assert there.estimate == pytest.approx(-back.estimate, abs=1e-9)
    assert there.p_value == pytest.approx(back.p_value)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert there.low <= there.high


def test_hedges_g_by_hand_and_its_interval_covers() -> None:
    # g = d (1 - 3 / (4 df - 1)) approximately (Hedges 1981).
    d = 1.58 / math.sqrt((np.var(DRUG_1, ddof=1) + np.var(DRUG_2, ddof=1)) / 2)
    found = hedges_g(DRUG_1, DRUG_2)
    assert found.value == pytest.approx(d * (1 - 3 / (4 * 18 - 1)), rel=1e-3)
    assert (found.size, found.name) == ("medium", "Hedges' g")
    rng, runs = np.random.default_rng(1981), 400
    for paired in (False, True):
        a, b = rng.normal(size=(runs, 8)), 0.7 + rng.normal(size=(runs, 8))
        truth = 0.7 / math.sqrt(2) if paired else 0.7
        effects = [hedges_g(x, y, paired=paired) for x, y in zip(a, b, strict=True)]
        covered = sum(effect.low <= truth <= effect.high for effect in effects)
        assert scipy.stats.binom.ppf(0.0005, runs, 0.95) <= covered <= scipy.stats.binom.ppf(0.9995, runs, 0.95)


def test_a_huge_effect_has_an_interval_too() -> None:
    near, far = (hedges_g([1, 1.1, 1.2], [shift, shift + 0.1, shift + 0.2]) for shift in (9, 10))
    assert far.low / near.low == pytest.approx(9 / 8, rel=0.01)
    assert far.low < far.value < far.high


def test_cliffs_delta_is_that_of_effsize() -> None:
    # The example of R's effsize::cliff.delta.
    treatment, control = [10, 10, 20, 20, 20, 30, 30, 30, 40, 50], [10, 20, 30, 40, 40, 50]
    found = cliffs_delta(control, treatment)
    assert (found.value, found.low, found.high) == pytest.approx((-0.25, -0.7265846, 0.3890062))
    assert found.size == "small"
    assert cliffs_delta([1, 2], [3, 4]).high == 1


def test_corrections_are_rs() -> None:
    given_p = [0.001, 0.2, 0.03, 0.04, 0.5]
    assert holm(given_p) == pytest.approx([0.005, 0.4, 0.12, 0.12, 0.5])
    assert benjamini_hochberg(given_p) == pytest.approx([0.005, 0.25, 0.0666666667, 0.0666666667, 0.5])
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert len(holm([])) == len(benjamini_hochberg([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrected_p_values_keep_their_order_and_never_shrink(p_values: list[float]) -> None:
    order = np.argsort(p_values)
    for corrected in (holm(p_values), benjamini_hochberg(p_values)):
        assert np.all(corrected >= np.asarray(p_values) - 1e-12)
        assert np.all(corrected <= 1)
        assert np.all(np.diff(corrected[order]) >= -1e-12)
    assert np.all(holm(p_values) >= benjamini_hochberg(p_values) - 1e-12)


def test_holm_bounds_any_false_finding_and_hochberg_the_share_of_false_ones() -> None:
    rng, runs = np.random.default_rng(1979), 1_000
    false = rng.random((runs, 15))
    true = scipy.stats.norm.sf(rng.normal(3, 1, (runs, 5))) * 2
    p_values = np.hstack((false, np.minimum(true, 1)))
    any_false = sum(bool((holm(row)[:15] < 0.05).any()) for row in p_values)
    assert any_false <= scipy.stats.binom.isf(0.001, runs, 0.05)
    found = [benjamini_hochberg(row) < 0.05 for row in p_values]
    shares = [row[:15].sum() / max(1, row.sum()) for row in found]
    assert np.mean(shares) < 0.05 + 3 * np.std(shares) / math.sqrt(runs)
    assert np.mean([row[15:].mean() for row in found]) > np.mean([(holm(row)[15:] < 0.05).mean() for row in p_values])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: compare_runs([1], [2], design="paired"),
            r"a: shape \(1,\) is not allowed; \(n,\) with n of 2 or more",
        ),
        (lambda: compare_runs([1, 2], [2, 3, 4], design="paired"), "b: 3 values are not allowed; as many as in a, 2"),
        (lambda: compare_runs([1, 2], [2, 3], design="paired"), "b: the runs do not vary at all"),
        (lambda: compare_runs([1, 1], [2, 2], design="independent"), "b: the runs do not vary at all"),
        (lambda: compare_runs([1, 2], [2, math.inf], design="paired"), "b: inf is not allowed"),
        (lambda: compare_runs([1, 2], [2, 4], design="resampled"), "test_share: it is needed where training sets"),
        (lambda: compare_runs([1, 2], [2, 4], design="resampled", test_share=1), "test_share: 1 is not allowed"),
        (lambda: compare_runs([1, 2], [2, 4], design="resampled", ranks=True), "ranks: True is not allowed"),
        (lambda: hedges_g([1, 1], [1, 1]), "b: the values do not vary at all"),
        (lambda: holm([0.5, 1.5]), "p_values: 1.5 is not allowed; probabilities from 0 to 1"),
    ],
)
def test_runs_without_an_answer_are_refused_by_name(call: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call()  # type: ignore[operator]


def test_importing_is_cheap() -> None:
    """What watches an A/B test must not wait for scipy.stats, nor a service that may never compare."""
    told = "import sys, modelog_stats.ab.msprt, modelog_stats.result; print('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout == "False\n"
