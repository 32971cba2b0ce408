"""Distances and their p-values, against scipy on the raw values."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from modelog_monitoring.stats import distance, sketch

samples = hnp.arrays(np.float64, st.integers(2, 60), elements=st.integers(-8, 8).map(float))
tables = hnp.arrays(np.int64, st.tuples(st.just(2), st.integers(1, 12)), elements=st.integers(0, 400)).filter(
    lambda table: table.sum(axis=1).all()
)


def weighted(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return sketch.distinct_of_sorted(np.sort(sample))


@given(samples, samples)
def test_ks_distance_is_scipys_and_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    tested = distance.kolmogorov_smirnov(*weighted(a), *weighted(b))
    assert tested.statistic == pytest.approx(scipy.stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert tested == pytest.approx(distance.kolmogorov_smirnov(*weighted(b), *weighted(a)))
    assert 0 <= tested.p_value <= 1


@pytest.mark.parametrize(("rows_a", "rows_b"), [(30, 60), (200, 1_000), (4_000, 28_000)])
def test_ks_p_value_is_close_to_scipys_where_it_decides(rows_a: int, rows_b: int) -> None:
    rng = np.random.default_rng(rows_a)
    seen = 0
    for shift in np.linspace(0, 4, 30) / np.sqrt(rows_a):
        a, b = rng.normal(size=rows_a), rng.normal(shift, size=rows_b)
        expected = scipy.stats.ks_2samp(a, b, method="asymp").pvalue
        if 0.001 < expected < 0.1:
            seen += 1
            found = distance.kolmogorov_smirnov(*weighted(a), *weighted(b)).p_value
            assert found == pytest.approx(expected, abs=0.0015)
    assert seen >= 3


@given(samples, samples, st.floats(0.1, 10))
def test_wasserstein_is_scipys_in_units_of_the_scale(a: np.ndarray, b: np.ndarray, scale: float) -> None:
    found = distance.wasserstein(*weighted(a), *weighted(b), scale=scale)
    assert found == pytest.approx(scipy.stats.wasserstein_distance(a, b) / scale, abs=1e-9)


def test_wasserstein_without_a_scale_is_undefined() -> None:
    one = weighted(np.ones(3))
    assert distance.wasserstein(*one, *one, scale=0.0) is None


def test_chi_squared_is_scipys_when_nothing_is_rare() -> None:
    table = np.asarray([[10, 20, 30], [25, 20, 15]])
    expected = scipy.stats.chi2_contingency(table)
    assert distance.chi_squared(table) == pytest.approx((expected.statistic, expected.pvalue))


def test_two_rare_categories_get_fishers_exact_test() -> None:
    table = np.asarray([[0, 28_000], [20, 980]])
    assert distance.chi_squared(table).p_value == pytest.approx(scipy.stats.fisher_exact(table).pvalue)


@given(tables, st.randoms(use_true_random=False))
def test_chi_squared_does_not_depend_on_the_order_of_categories(table: np.ndarray, random: object) -> None:
    order = list(range(table.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    found, shuffled = distance.chi_squared(table), distance.chi_squared(table[:, order])
    totals = table.sum(axis=0)
    if len(set(totals.tolist())) == len(totals):  # which of two equally small categories takes the rest is open
        assert shuffled == pytest.approx(found, rel=1e-6, abs=1e-9)
    assert 0 <= shuffled.p_value <= 1
    assert distance.cramers_v(table[:, order]) == pytest.approx(distance.cramers_v(table))


@given(tables)
def test_pooling_keeps_every_row_and_settles_at_once(table: np.ndarray) -> None:
    pooled = distance.pool_rare(table)
    assert pooled.sum(axis=1).tolist() == table.sum(axis=1).tolist()
    assert distance.pool_rare(pooled).tolist() == pooled.tolist()


def test_rare_categories_are_pooled_or_join_the_smallest() -> None:
    assert distance.pool_rare(np.asarray([[50, 50, 1, 2], [50, 50, 2, 1]])).tolist() == [[50, 50, 3], [50, 50, 3]]
    assert distance.pool_rare(np.asarray([[500, 60, 1], [500, 50, 0]])).tolist() == [[500, 61], [500, 50]]
    assert distance.pool_rare(np.asarray([[500, 1, 0], [500, 0, 0]])).tolist() == [[500, 1], [500, 0]]
    assert distance.pool_rare(np.asarray([[500, 1, 1], [500, 0, 0]])).tolist() == [[500, 2], [500, 0]]


def test_one_category_on_both_sides_is_no_evidence() -> None:
    assert distance.chi_squared(np.asarray([[5], [9]])) == (0.0, 1.0)


@given(tables)
def test_cramers_v_lies_between_zero_and_one_and_ignores_the_sizes(table: np.ndarray) -> None:
    size = distance.cramers_v(table)
    assert 0 <= size <= 1 + 1e-12
    assert distance.cramers_v(table * np.asarray([[1], [1_000]])) == pytest.approx(size, abs=1e-9)


def test_cramers_v_is_scipys_on_equally_large_sides() -> None:
    table = np.asarray([[10, 20, 30], [25, 20, 15]])
    expected = scipy.stats.contingency.association(table, method="cramer")
    assert distance.cramers_v(table) == pytest.approx(expected)
    assert distance.cramers_v(np.asarray([[7, 0], [0, 9]])) == pytest.approx(1)


def test_cohens_h_of_one_percent_missing_is_a_small_effect() -> None:
    assert distance.cohens_h(0, 0.01) == pytest.approx(0.2003, abs=1e-4)
    assert distance.cohens_h(0.3, 0.3) == 0
    assert distance.cohens_h(0, 1) == pytest.approx(np.pi)


@given(tables)
def test_stability_index_is_symmetric_never_negative_and_finite(table: np.ndarray) -> None:
    before, after = table
    found = distance.population_stability(before, after)
    assert 0 <= found < 100
    assert found == pytest.approx(distance.population_stability(after, before))


def test_stability_index_is_the_symmetrised_divergence() -> None:
    p, q = np.asarray([0.2, 0.3, 0.5]), np.asarray([0.4, 0.3, 0.3])
    expected = scipy.stats.entropy(p, q) + scipy.stats.entropy(q, p)
    found = distance.population_stability((p * 10**8).astype(np.int64), (q * 10**8).astype(np.int64))
    assert found == pytest.approx(expected, abs=1e-6)
