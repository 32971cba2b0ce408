"""Quality figures and comparisons, against scikit-learn, the definitions, and their promised coverage."""

import msgspec
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.errors import Invalid
from modelog_monitoring.stats.compare import Comparison, compare, compare_unpaired
from modelog_monitoring.stats.quality import Quality, quality
from modelog_stats import delong

Sample = tuple[np.ndarray, np.ndarray]


@st.composite
def scored(draw: st.DrawFn) -> Sample:
    """Labels with two of each class at least, and scores with many ties."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=60))
    rows += [(True, 5), (True, 9), (False, 5), (False, 3)]
    return np.asarray([label for label, _ in rows], dtype=int), np.asarray([s / 20 for _, s in rows])


def drawn(rng: np.random.Generator, rows: int, *signals: float) -> tuple[np.ndarray, ...]:
    """Labels (30 % positive) and one column of scores per signal, correlated through shared noise."""
    labels = (rng.random(rows) < 0.3).astype(np.int8)
    shared = rng.normal(size=rows)
    margins = [signal * labels + 0.8 * shared + 0.6 * rng.normal(size=rows) - 1 for signal in signals]
    return labels, *(1 / (1 + np.exp(-margin)) for margin in margins)


@given(scored())
def test_figures_are_scikit_learns(sample: Sample) -> None:
    labels, scores = sample
    found = quality(labels, scores)
    assert found.auc is not None
    assert found.auc.value == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores))
    assert found.brier == pytest.approx(sklearn.metrics.brier_score_loss(labels, scores))
    clipped = np.clip(scores, 1e-15, 1 - 1e-15)
    assert found.log_loss == pytest.approx(sklearn.metrics.log_loss(labels, clipped))
    assert found.base_rate == pytest.approx(labels.mean())
    assert found.positive_rate == pytest.approx((scores >= 0.5).mean())
    assert (found.rows, found.positives) == (len(labels), labels.sum())
    assert 0 <= found.auc.low <= found.auc.value <= found.auc.high <= 1


@given(scored())
def test_auc_of_the_opposite_scores_or_labels_is_the_opposite(sample: Sample) -> None:
    labels, scores = sample
    straight, reversed_scores = quality(labels, scores).auc, quality(labels, 1 - scores).auc
    reversed_labels = quality(1 - labels, scores).auc
    assert straight
    assert reversed_scores
    assert reversed_labels
    assert reversed_scores.value == pytest.approx(1 - straight.value)
    assert reversed_labels.value == pytest.approx(1 - straight.value)
    assert reversed_scores.variance == pytest.approx(straight.variance)


@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(sample: Sample, random: object) -> None:
    labels, scores = sample
    order = list(range(len(labels)))
    random.shuffle(order)  # type: ignore[attr-defined]
    before, after = quality(labels, scores), quality(labels[order], scores[order])
    assert before.auc
    assert after.auc
    assert after.auc.variance == pytest.approx(before.auc.variance)
    assert (after.log_loss, after.ece) == pytest.approx((before.log_loss, before.ece))


@given(scored(), scored())
def test_delong_is_the_definition_over_all_pairs(sample: Sample, other: Sample) -> None:
    labels, scores = sample
    second = np.resize(other[1], len(scores))
    positive = labels == 1
    kernels = [
        (s[positive][:, None] > s[~positive]) + 0.5 * (s[positive][:, None] == s[~positive]) for s in (scores, second)
    ]
    s10 = np.cov([kernel.mean(axis=1) for kernel in kernels])
    s01 = np.cov([kernel.mean(axis=0) for kernel in kernels])
    covariance = s10 / positive.sum() + s01 / (~positive).sum()
    a, b = delong.placements(positive, scores), delong.placements(positive, second)
    assert (a.auc, b.auc) == pytest.approx((kernels[0].mean(), kernels[1].mean()))
    assert (a.variance, b.variance) == pytest.approx((covariance[0, 0], covariance[1, 1]), abs=1e-12)
    contrast = np.asarray([1, -1])
    assert delong.variance_of_difference(a, b) == pytest.approx(contrast @ covariance @ contrast, abs=1e-12)


def test_calibration_error_by_hand() -> None:
    found = quality(np.asarray([0, 1, 1, 1]), np.asarray([0.05, 0.15, 0.15, 1.0]))
    assert [(b.rows, b.mean_score, b.positive_share) for b in found.calibration] == [
        (1, 0.05, 0.0),
        (2, 0.15, 1.0),
        (1, 1.0, 1.0),
    ]
    assert found.ece == pytest.approx((0.05 + 2 * 0.85 + 0) / 4)


def test_calibrated_scores_have_little_calibration_error() -> None:
    rng = np.random.default_rng(8)
    scores = rng.random(50_000)
    assert quality(rng.random(50_000) < scores, scores).ece < 0.01


def test_one_class_alone_has_no_auc_but_the_rest() -> None:
    found = quality(np.asarray([1, 1, 1, 0]), np.asarray([0.2, 0.4, 0.9, 0.1]))
    assert found.auc is None
    assert found.log_loss > 0
    assert compare(np.ones(3), np.full(3, 0.5), np.full(3, 0.6)).auc is None


def test_sure_mistakes_cost_much_and_not_everything() -> None:
    assert quality(np.asarray([1, 0]), np.asarray([0.0, 1.0])).log_loss == pytest.approx(34.5, abs=0.1)


def test_threshold_decides_the_positive_rate() -> None:
    assert quality(np.asarray([1, 0]), np.asarray([0.2, 0.3]), threshold=0.3).positive_rate == 0.5


def test_intervals_cover_the_truth_as_often_as_promised() -> None:
    runs, rng, signals = 600, np.random.default_rng(1988), (1.0, 1.3)
    truth = [float(scipy.stats.norm.cdf(signal / np.sqrt(2))) for signal in signals]
    covered = dict.fromkeys(("auc", "paired", "unpaired", "log loss"), 0)
    big_labels, *big = drawn(np.random.default_rng(2), 2_000_000, *signals)
    losses = [sklearn.metrics.log_loss(big_labels, scores) for scores in big]
    for _ in range(runs):
        labels, old, new = drawn(rng, 300, *signals)
        other_labels, other_new = drawn(rng, 150, signals[1])
        auc, paired = quality(labels, old).auc, compare(labels, old, new)
        unpaired = compare_unpaired(labels, old, other_labels, other_new)
        assert auc
        assert paired.auc
        assert paired.log_loss
        assert unpaired.auc
        covered["auc"] += auc.low <= truth[0] <= auc.high
        covered["paired"] += paired.auc.low <= truth[1] - truth[0] <= paired.auc.high
        covered["unpaired"] += unpaired.auc.low <= truth[1] - truth[0] <= unpaired.auc.high
        covered["log loss"] += paired.log_loss.low <= losses[1] - losses[0] <= paired.log_loss.high
    lowest, highest = scipy.stats.binom.ppf([0.0005, 0.9995], runs, 0.95)
    assert all(lowest <= times <= highest for times in covered.values()), (covered, lowest, highest)


def test_equal_models_win_as_rarely_as_the_level_says() -> None:
    runs, rng = 400, np.random.default_rng(9)
    won = 0
    for _ in range(runs):
        labels, old, new = drawn(rng, 400, 1.0, 1.0)
        found = compare(labels, old, new).auc
        assert found
        won += found.p_value < 0.05
        assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)
    assert won <= scipy.stats.binom.isf(0.001, runs, 0.05)


def test_pairing_finds_what_two_arms_cannot() -> None:
    labels, old, new = drawn(np.random.default_rng(10), 4_000, 1.0, 1.15)
    paired, unpaired = compare(labels, old, new), compare_unpaired(labels, old, labels, new)
    assert paired.auc
    assert unpaired.auc
    assert paired.log_loss
    assert unpaired.log_loss
    assert paired.auc.value == pytest.approx(unpaired.auc.value)
    assert paired.auc.p_value < 0.01 < unpaired.auc.p_value
    assert paired.log_loss.variance < unpaired.log_loss.variance
    assert paired.auc.low > 0
    assert paired.log_loss.high < 0


@given(scored())
def test_swapping_champion_and_challenger_swaps_the_sign(sample: Sample) -> None:
    labels, scores = sample
    other = np.roll(scores, 1)
    there, back = compare(labels, scores, other), compare(labels, other, scores)
    assert there.auc
    assert back.auc
    assert there.log_loss
    assert back.log_loss
    assert there.auc.value == pytest.approx(-back.auc.value)
    assert (there.auc.low, there.auc.high) == pytest.approx((-back.auc.high, -back.auc.low))
    assert there.log_loss.p_value == pytest.approx(back.log_loss.p_value)


def test_a_model_compared_with_itself_is_equal() -> None:
    labels, scores = drawn(np.random.default_rng(11), 200, 1.0)
    found = compare(labels, scores, scores)
    assert found.auc
    assert found.log_loss
    assert (found.auc.value, found.auc.p_value, found.log_loss.value, found.log_loss.p_value) == (0, 1, 0, 1)


def test_perfect_against_perfectly_wrong_is_certain() -> None:
    labels = np.asarray([0, 0, 1, 1])
    found = compare(labels, 1.0 - labels, labels.astype(float)).auc
    assert found is not None
    assert (found.value, found.p_value) == (1, 0)


def test_one_row_has_no_interval() -> None:
    assert compare(np.asarray([1]), np.asarray([0.4]), np.asarray([0.5])).log_loss is None
    both = compare_unpaired(np.asarray([1, 0]), np.asarray([0.4, 0.3]), np.asarray([1]), np.asarray([0.5]))
    assert (both.auc, both.log_loss, both.champion_rows, both.challenger_rows) == (None, None, 2, 1)


def test_results_are_stored_and_read_back() -> None:
    labels, old, new = drawn(np.random.default_rng(12), 100, 1.0, 1.2)
    for found in (quality(labels, old), compare(labels, old, new)):
        assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
    assert isinstance(found, Comparison)
    assert isinstance(quality(labels, old), Quality)


TWO, HALVES = np.asarray([0, 1]), np.asarray([0.5, 0.5])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.asarray([]), HALVES, HALVES), r"labels: shape \(0,\) is not allowed; \(rows,\), at least one row"),
        ((np.zeros((2, 1)), HALVES, HALVES), r"labels: shape \(2, 1\)"),
        ((np.asarray([0, 2]), HALVES, HALVES), "labels: 2 is not allowed; labels are 0 or 1"),
        ((np.asarray([0, np.nan]), HALVES, HALVES), "labels: nan is not allowed"),
        ((TWO, np.asarray([0.5]), HALVES), r"champion_scores: shape \(1,\) is not allowed; one score per label"),
        ((TWO, HALVES, np.asarray([0.5, 1.5])), "challenger_scores: 1.5 is not allowed; scores are probabilities"),
        ((TWO, HALVES, np.asarray([0.5, np.nan])), "challenger_scores: nan is not allowed"),
    ],
)
def test_input_without_an_answer_is_refused_by_name(arguments: tuple[np.ndarray, ...], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        compare(*arguments)
