"""Drift reports: silent without drift, loud with it, and clear about what they cannot compare."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.errors import Invalid
from modelog_monitoring.stats.drift import DriftReport, Finding, Limits, corrected, drift, drift_of_rows
from modelog_monitoring.stats.profile import Kind, profile_of

NUMBERS = {"x": Kind.NUMERIC}
CODES = {"x": Kind.CATEGORICAL}


def one(before: np.ndarray, after: np.ndarray, kinds: dict[str, Kind] = NUMBERS) -> DriftReport:
    reference = profile_of(np.asarray(before, dtype=np.float32)[:, None], kinds)
    return drift_of_rows(reference, np.asarray(after, dtype=np.float32)[:, None], list(kinds))


def found_by(report: DriftReport) -> dict[str, Finding]:
    return {finding.test: finding for finding in report.features[0].findings}


def without_drift(rng: np.random.Generator, rows: int) -> np.ndarray:
    """(rows, 20): normal, zero-inflated, whole numbers, categories of 3 and of 40, and half of them with gaps."""
    table = rng.normal(size=(rows, 20))
    table[:, 4:8] = np.where(rng.random((rows, 4)) < 0.7, 0, rng.lognormal(size=(rows, 4)))
    table[:, 8:12] = rng.poisson(4, size=(rows, 4))
    table[:, 12:16] = rng.integers(0, 3, size=(rows, 4))
    table[:, 16:20] = rng.zipf(1.8, size=(rows, 4)) % 40
    table[:, ::2][rng.random((rows, 10)) < 0.05] = np.nan
    return table


MIXED = {f"c{i}": Kind.NUMERIC if i < 12 else Kind.CATEGORICAL for i in range(20)}


def test_false_alarms_without_drift_stay_at_the_stated_rate() -> None:
    batches, rng = 200, np.random.default_rng(20130101)
    by_p_value = by_both = 0
    for _ in range(batches):
        reference = profile_of(without_drift(rng, 1_000), MIXED)
        report = drift(reference, profile_of(without_drift(rng, 1_000), MIXED))
        findings = [finding for feature in report.features for finding in feature.findings]
        by_p_value += min(finding.corrected_p for finding in findings) < report.limits.alpha
        by_both += bool(report.drifted)
    highest = scipy.stats.binom.isf(0.001, batches, Limits().alpha)
    assert by_p_value <= highest
    assert by_both <= by_p_value


@pytest.mark.parametrize(("rows", "runs"), [(1_000, 40), (28_000, 5)])
def test_planted_drift_is_found_and_false_discoveries_stay_rare(rows: int, runs: int) -> None:
    rng = np.random.default_rng(7)
    planted = {"c1": 0, "c3": 0, "c5": 0, "c13": 0}
    false_share = 0.0
    for _ in range(runs):
        window = without_drift(rng, rows)
        window[:, 1] += 0.35  # a third of a standard deviation
        window[:, 3][rng.random(rows) < 0.04] = np.nan  # was never missing
        window[:, 5] = np.where(rng.random(rows) < 0.2, 1, window[:, 5])  # fewer zeros, a new mass point
        window[:, 13] = np.where(rng.random(rows) < 0.25, 0, window[:, 13])  # one category gains
        drifted = drift(profile_of(without_drift(rng, rows), MIXED), profile_of(window, MIXED)).drifted
        for name in planted.keys() & set(drifted):
            planted[name] += 1
        false_share += len(set(drifted) - planted.keys()) / max(1, len(drifted))
    assert min(planted.values()) >= 0.95 * runs, planted
    assert false_share / runs <= Limits().alpha


def test_a_significant_but_tiny_change_is_not_drift() -> None:
    rng = np.random.default_rng(1)
    report = one(rng.normal(size=100_000), rng.normal(0.05, size=100_000))
    assert found_by(report)["ks"].corrected_p < 1e-6
    assert not found_by(report)["ks"].large
    assert report.drifted == ()


def test_a_large_but_uncertain_change_is_not_drift() -> None:
    report = one(np.arange(6.0), np.arange(6.0) + 1)
    assert found_by(report)["ks"].large
    assert report.drifted == ()


def test_a_few_values_in_the_wrong_unit_are_drift_by_wasserstein() -> None:
    rng = np.random.default_rng(2)
    window = rng.normal(10, 1, size=20_000)
    window[: len(window) // 20] *= 1_000
    report = one(rng.normal(10, 1, size=20_000), window)
    ks = found_by(report)["ks"]
    assert ks.effects["ks"] < report.limits.ks
    assert ks.effects["wasserstein"] > 100
    assert report.drifted == ("x",)


def test_the_same_rows_are_no_drift_at_all() -> None:
    rows = without_drift(np.random.default_rng(4), 3_000)
    reference = profile_of(rows, MIXED)
    report = drift_of_rows(reference, rows, list(MIXED))
    for feature in report.features:
        assert feature.psi == 0
        assert all(f.statistic == 0 and f.p_value == 1 for f in feature.findings)
    assert report == drift_of_rows(reference, rows[::-1], list(MIXED))


def test_columns_may_come_in_another_order() -> None:
    rng = np.random.default_rng(5)
    reference, window = profile_of(without_drift(rng, 500), MIXED), without_drift(rng, 500)
    backwards = drift_of_rows(reference, window[:, ::-1], list(reversed(MIXED)))
    assert backwards == drift_of_rows(reference, window, list(MIXED))
    assert [feature.name for feature in backwards.features] == list(MIXED)


def test_a_zero_inflated_column_moves_the_stability_index() -> None:
    rng = np.random.default_rng(6)
    before = np.where(rng.random(5_000) < 0.8, 0, rng.exponential(size=5_000))
    after = np.where(rng.random(5_000) < 0.5, 0, rng.exponential(size=5_000))
    assert one(before, after).features[0].psi > 0.25
    assert one(before, rng.permutation(before)).features[0].psi < 1e-3


def test_constant_columns() -> None:
    same = one(np.ones(100), np.ones(500))
    assert same.drifted == ()
    assert found_by(same)["ks"].effects == {"ks": 0.0}
    moved = one(np.ones(100), np.full(500, 2.0))
    assert moved.drifted == ("x",)
    assert moved.features[0].psi > 5


def test_a_column_that_goes_missing_is_drift() -> None:
    report = one(np.arange(1_000.0), np.full(50, np.nan))
    assert set(found_by(report)) == {"missing"}
    assert report.drifted == ("x",)
    feature = report.features[0]
    assert (feature.reference_missing_share, feature.window_missing_share) == (0, 1)


@pytest.mark.parametrize("kinds", [NUMBERS, CODES])
def test_a_column_missing_on_both_sides_is_no_evidence(kinds: dict[str, Kind]) -> None:
    report = one(np.full(20, np.nan), np.full(30, np.nan), kinds)
    assert report.drifted == ()
    assert found_by(report)["missing"].p_value == 1


def test_few_missing_in_a_small_window_are_found_against_a_large_reference() -> None:
    window = np.arange(1_000.0)
    window[::50] = np.nan
    missing = found_by(one(np.arange(28_000.0) / 28, window))["missing"]
    assert missing.drifted


def test_categories_that_swap_are_drift_and_unseen_ones_count() -> None:
    before = np.repeat([0, 1, 2], [500, 300, 200])
    assert one(before, np.repeat([0, 1, 2], [300, 500, 200]), CODES).drifted == ("x",)
    unseen = one(before, np.repeat([0, 1, 2, 9], [400, 250, 150, 200]), CODES)
    assert unseen.drifted == ("x",)
    assert unseen.features[0].kind is Kind.CATEGORICAL


def test_a_report_is_stored_and_read_back() -> None:
    report = one(np.arange(50.0), np.arange(50.0) + 40)
    assert msgspec.json.decode(msgspec.json.encode(report), type=DriftReport) == report


def finding(p_value: float) -> Finding:
    return Finding("ks", 0.5, p_value, p_value, {"ks": 0.5}, large=True, drifted=False)


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(p_values, st.integers(1, 5))
def test_correction_keeps_the_order_and_never_lowers_a_p_value(raw: list[float], per_feature: int) -> None:
    grouped = [raw[i : i + per_feature] for i in range(0, len(raw), per_feature)]
    found = corrected([[finding(p) for p in group] for group in grouped], alpha=0.05)
    flat = [f for group in found for f in group]
    assert [len(group) for group in found] == [len(group) for group in grouped]
    assert [f.p_value for f in flat] == raw
    assert all(f.corrected_p >= f.p_value * (1 - 1e-12) for f in flat)
    assert all(f.drifted == (f.corrected_p < 0.05) for f in flat)
    ordered = sorted(flat, key=lambda f: f.p_value)
    assert all(a.corrected_p <= b.corrected_p for a, b in pairwise(ordered))


@given(p_values, st.data())
def test_a_smaller_p_value_never_takes_a_flag_away(raw: list[float], data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(raw) - 1))
    lowered = [p * (0.5 if i == which else 1) for i, p in enumerate(raw)]
    (before,) = corrected([[finding(p) for p in raw]], alpha=0.05)
    (after,) = corrected([[finding(p) for p in lowered]], alpha=0.05)
    assert all(b.drifted >= a.drifted for a, b in zip(before, after, strict=True))


def test_nothing_to_correct() -> None:
    assert corrected([[], []], alpha=0.05) == [[], []]


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        (np.zeros((0, 2)), ["a", "b"], "rows: is empty; at least one row is needed"),
        (np.zeros((3, 1)), ["a"], "columns: missing: b; the reference has a, b"),
        (np.zeros((3, 3)), ["a", "b", "z"], "columns: not in the reference: z"),
        (np.zeros((3, 3)), ["a", "b", "a"], "columns: named twice: a"),
    ],
)
def test_a_window_that_does_not_fit_the_reference_is_refused(rows: np.ndarray, columns: list[str], said: str) -> None:
    reference = profile_of(np.zeros((5, 2)), {"a": Kind.NUMERIC, "b": Kind.CATEGORICAL})
    with pytest.raises(Invalid, match=said):
        drift_of_rows(reference, rows, columns)


def test_a_column_whose_kind_changed_is_refused() -> None:
    rows = np.zeros((5, 1))
    with pytest.raises(Invalid, match="x: is categorical in the window; the reference has it numeric"):
        drift(profile_of(rows, NUMBERS), profile_of(rows, CODES))


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"alpha": 0.0}, "alpha: 0.0 is not allowed"), ({"ks": -0.1}, "ks: -0.1"), ({"cohens_h": np.nan}, "cohens_h")],
)
def test_limits_out_of_range_are_refused(limits: dict[str, float], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Limits(**limits)
