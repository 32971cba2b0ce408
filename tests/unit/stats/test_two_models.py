"""Two models on the same rows: against R, published examples, and the rates that the methods promise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from modelog_stats.bootstrap import BCA_ROWS, paired_bootstrap
from modelog_stats.checks import BadInput
from modelog_stats.delong import compare_auc
from modelog_stats.mcnemar import compare_accuracy, interval, of_counts, p_value
from subarachnoid import POOR, S100B, WFNS


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    return float((labels == predictions).mean())


def rank_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        return float("nan")
    ranks = scipy.stats.rankdata(scores)
    return float((ranks[labels == 1].mean() - (positives + 1) / 2) / (len(labels) - positives))


def test_delong_is_that_of_proc() -> None:
    # roc.test(aSAH$outcome, aSAH$wfns, aSAH$s100b) of pROC 1.18.0, as in its documentation: Z = 2.209, p = 0.02718.
    found = compare_auc(POOR, S100B, WFNS)
    assert (found.estimate, found.low, found.high, found.p_value) == pytest.approx(
        (0.823678862 - 0.731368564, 0.010406177, 0.174214419, 0.0271757822)
    )
    assert found.sentence == (
        "AUC of b is higher than that of a by 0.09231 "
        "(95 % interval of the difference 0.01041 to 0.1742; DeLong, 113 rows, p = 0.027)"
    )


def test_bootstrap_agrees_with_delong_where_both_hold() -> None:
    delong = compare_auc(POOR, S100B, WFNS)
    found = paired_bootstrap(rank_auc, POOR, S100B, WFNS, what="AUC", stratify=True, resamples=500)
    assert found.method == "paired bootstrap, BCa"
    assert found.estimate == pytest.approx(delong.estimate)
    assert (found.low, found.high) == pytest.approx((delong.low, delong.high), abs=0.02)
    assert found.p_value == pytest.approx(delong.p_value, abs=0.03)


def test_mcnemar_of_published_tables() -> None:
    # Airway hyper-responsiveness before and after transplantation (Bentur et al. 2009), the example of Fagerland et al.
    # 2013: asymptotic with continuity correction 0.077, exact 0.070, mid-p 0.039.
    assert [p_value(1, 7, method) for method in ("chi-squared", "exact", "mid-p")] == pytest.approx(
        [0.0771, 0.0703, 0.0391], abs=5e-5
    )
    # Approval ratings (Agresti 1990), the example of R's mcnemar.test: 16.82, p = 4.115e-05.
    assert of_counts(150, 86, 1600).p_value == pytest.approx(4.115e-05, rel=1e-3)


def test_few_differing_rows_take_mid_p_and_many_chi_squared() -> None:
    assert of_counts(10, 14, 100).method == "McNemar, mid-p"
    assert of_counts(10, 15, 100).method == "McNemar, chi-squared"


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(["exact", "mid-p", "chi-squared"]))
def test_mcnemar_is_symmetric_and_a_probability(only_a: int, only_b: int, method: str) -> None:
    there, back = (of_counts(*counts, 200, method) for counts in ((only_a, only_b), (only_b, only_a)))  # type: ignore[arg-type]
    assert there.p_value == pytest.approx(back.p_value)
    assert 0 <= there.p_value <= 1
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert -1 <= there.low <= there.estimate <= there.high <= 1 or only_a + only_b > 0


def test_mcnemar_keeps_its_level_and_its_interval_covers() -> None:
    rng, rows, runs = np.random.default_rng(1947), 200, 2_000
    # Of each row: both right, only a, only b, neither. Equal accuracies.
    drawn = rng.multinomial(rows, [0.7, 0.08, 0.08, 0.14], runs)
    rejected = sum(of_counts(a, b, rows).p_value < 0.05 for _, a, b, _ in drawn.tolist())
    assert rejected <= scipy.stats.binom.isf(0.001, runs, 0.05)
    unequal = rng.multinomial(rows, [0.7, 0.05, 0.15, 0.1], runs)
    bounds = [interval(a, b, rows, 0.95) for _, a, b, _ in unequal.tolist()]
    covered = sum(low <= 0.1 <= high for low, high in bounds)
    assert scipy.stats.binom.ppf(0.0005, runs, 0.95) <= covered <= scipy.stats.binom.ppf(0.9995, runs, 0.95)


def test_bootstrap_interval_is_scipys_bca() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(60) < 0.3).astype(int)
    a, b = labels + rng.normal(size=60) ** 2, labels + rng.normal(size=60)
    found = paired_bootstrap(brier, labels, a, b, resamples=300, seed=4)
    scipys = scipy.stats.bootstrap(
        [np.arange(60)],
        lambda rows: brier(labels[rows], b[rows]) - brier(labels[rows], a[rows]),
        n_resamples=300,
        vectorized=False,
        method="BCa",
        rng=np.random.default_rng(4),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((scipys.low, scipys.high))


def brier(labels: np.ndarray, scores: np.ndarray) -> float:
    return float(((labels - scores) ** 2).mean())


@pytest.mark.parametrize("method", ["BCa", "percentile"])
def test_bootstrap_p_value_is_that_of_the_interval_that_touches_zero(method: str) -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(80) < 0.4).astype(int)
    a, b = (labels + scale * rng.normal(size=80) for scale in (1.3, 1.1))
    found = paired_bootstrap(brier, labels, a, b, method=method, resamples=1_000)  # type: ignore[arg-type]
    assert 0.001 < found.p_value < 0.9
    for confidence, excludes in ((1 - found.p_value - 0.02, True), (1 - found.p_value + 0.0005, False)):
        at = paired_bootstrap(brier, labels, a, b, method=method, resamples=1_000, confidence=confidence)  # type: ignore[arg-type]
        assert (at.low > 0 or at.high < 0) is excludes, (confidence, at)


def test_bootstrap_covers_and_keeps_its_level() -> None:
    rng, rows, runs = np.random.default_rng(6), 80, 200
    covered = rejected = 0
    for _ in range(runs):
        labels = rng.integers(0, 2, rows)
        a, b, c = (np.where(rng.random(rows) < share, labels, 1 - labels) for share in (0.7, 0.8, 0.7))
        found = paired_bootstrap(accuracy, labels, a, b, resamples=300, method="percentile")
        covered += found.low <= 0.1 <= found.high
        rejected += paired_bootstrap(accuracy, labels, a, c, resamples=300, method="percentile").p_value < 0.05
    assert covered >= scipy.stats.binom.ppf(0.0005, runs, 0.95), covered
    assert rejected <= scipy.stats.binom.isf(0.001, runs, 0.05), rejected


def test_many_rows_take_the_percentile_method() -> None:
    labels = np.arange(BCA_ROWS + 1) % 2
    found = paired_bootstrap(accuracy, labels, labels, 1 - labels, resamples=100)
    assert (found.method, found.estimate, found.n) == ("paired bootstrap, percentile", -1, BCA_ROWS + 1)
    # 100 draws tell no more than this.
    assert found.p_value == pytest.approx(2 / 101)


def test_equal_models_are_equal() -> None:
    labels = np.arange(40) % 2
    found = paired_bootstrap(accuracy, labels, labels, labels, resamples=100)
    assert (found.estimate, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert compare_accuracy(labels, labels).p_value == 1
    assert compare_auc(labels, labels, labels).p_value == 1
    assert found.sentence.startswith("no difference in metric between a and b is shown: +0 (")


def test_probabilities_of_many_classes_can_be_compared() -> None:
    labels = np.arange(30) % 3
    sure = np.eye(3)[labels]
    found = paired_bootstrap(
        lambda truth, p: float((p.argmax(axis=1) == truth).mean()), labels, sure[:, ::-1], sure, resamples=100
    )
    assert found.estimate == pytest.approx(2 / 3)


TWO = np.asarray([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: compare_auc([0, 2], [1, 2], [1, 2]), "labels: 2 is not allowed; 0 or 1 is needed"),
        (lambda: compare_auc([0, 1, 1], [1, 2, 3], [1, 2, 3]), "labels: 2 of 3 are 1; two of each class are needed"),
        (lambda: compare_auc(TWO, [1, 2, 3, np.nan], TWO), "a: nan is not allowed; finite numbers are needed"),
        (lambda: compare_auc(TWO, TWO, [1, 2]), "b: 2 scores are not allowed; one per label, 4, is needed"),
        (lambda: compare_accuracy(TWO, [1]), "b_right: 1 rows are not allowed; as many as in a_right, 4"),
        (lambda: of_counts(3, 4, 5), r"n: 5 rows are not allowed; at least 1 and the 3 \+ 4 that differ"),
        (lambda: paired_bootstrap(accuracy, TWO, TWO, [1]), "b: 1 rows are not allowed; one per label, 4"),
        (lambda: paired_bootstrap(accuracy, TWO, TWO, TWO, confidence=95), "confidence: 95 is not allowed"),
        (
            lambda: paired_bootstrap(rank_auc, TWO, TWO, TWO, resamples=100),
            r"metric: it has no value on \d+ of 100 resamples; draw each label's rows apart \(stratify\)",
        ),
        (
            lambda: paired_bootstrap(rank_auc, [0, 0, 1], [0, 0, 1], [0, 0, 1], stratify=True),
            "labels: 1 has one row; to draw each label's rows apart two of each are needed",
        ),
    ],
)
def test_what_has_no_answer_is_refused_by_name(call: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call()  # type: ignore[operator]
