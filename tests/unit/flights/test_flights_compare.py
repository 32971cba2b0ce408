"""Areas under the curve and their intervals, against the definitions."""

import numpy as np
import pytest
from flights.compare import Z_95, auc, auc_gain, auc_gain_by_group, log_loss, log_loss_gain
from hypothesis import given
from hypothesis import strategies as st


def draw(rng: np.random.Generator, rows: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = (rng.random(rows) < 0.3).astype(np.int8)
    labels[:2] = (0, 1)
    common = labels + rng.normal(size=rows) * 1.5
    return labels, common + rng.normal(size=rows), common + rng.normal(size=rows) * 0.5


def wins(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(late, punctual): 1 where the late flight scores higher, a half where they tie."""
    late, punctual = scores[labels == 1][:, None], scores[labels == 0][None, :]
    return np.where(late == punctual, 0.5, late > punctual)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_area_is_the_share_of_pairs_in_order(seed: int, levels: int) -> None:
    labels, scores, _ = draw(np.random.default_rng(seed), rows=40)
    coarse = np.round(scores * levels) / levels
    assert auc(labels, coarse).value == pytest.approx(wins(labels, coarse).mean())


@given(st.integers(0, 2**32 - 1))
def test_the_interval_is_delongs(seed: int) -> None:
    labels, before, after = draw(np.random.default_rng(seed))
    difference = wins(labels, after) - wins(labels, before)
    of_late, of_punctual = difference.mean(axis=1), difference.mean(axis=0)
    variance = of_late.var() / len(of_late) + of_punctual.var() / len(of_punctual)
    gain = auc_gain(labels, before, after)
    assert gain.value == pytest.approx(difference.mean(), abs=1e-12)
    assert gain.high - gain.low == pytest.approx(2 * Z_95 * np.sqrt(variance))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    labels, before, after = draw(rng, rows=200_000)
    truth = auc_gain(labels, before, after).value
    held = [interval.low <= truth <= interval.high for interval in (auc_gain(*draw(rng, 400)) for _ in range(600))]
    assert 0.92 < np.mean(held) < 0.98


def test_rows_that_go_together_count_once() -> None:
    labels, before, after = draw(np.random.default_rng(2), rows=500)
    once = auc_gain(labels, before, after)
    five = [np.repeat(values, 5) for values in (labels, before, after)]
    together = auc_gain_by_group(five[0], five[1], five[2], np.repeat(np.arange(500), 5))
    assert (together.low, together.high) == pytest.approx((once.low, once.high))
    apart = auc_gain(five[0], five[1], five[2])
    assert together.high - together.low == pytest.approx(5**0.5 * (apart.high - apart.low))


def test_groups_of_one_change_nothing() -> None:
    labels, before, after = draw(np.random.default_rng(3))
    apart = auc_gain_by_group(labels, before, after, np.arange(len(labels)))
    assert apart.low == pytest.approx(auc_gain(labels, before, after).low)


def test_log_loss() -> None:
    assert log_loss(np.array([1, 0]), np.array([0.5, 0.75], np.float32)) == pytest.approx(1.5 * np.log(2))


def test_a_gain_in_log_loss_has_the_interval_of_paired_means() -> None:
    rng = np.random.default_rng(4)
    labels, before, after = (
        (rng.random(300) < 0.3).astype(np.int8),
        rng.uniform(0.1, 0.9, 300),
        rng.uniform(0.1, 0.9, 300),
    )
    each = [
        log_loss(labels[i : i + 1], after[i : i + 1]) - log_loss(labels[i : i + 1], before[i : i + 1])
        for i in range(300)
    ]
    gain = log_loss_gain(labels, before, after)
    assert gain.value == pytest.approx(log_loss(labels, after) - log_loss(labels, before))
    assert gain.high - gain.value == pytest.approx(Z_95 * np.std(each) / np.sqrt(300))


def test_one_class_has_no_area() -> None:
    with pytest.raises(ValueError, match="got 3 late and 0 punctual"):
        auc(np.ones(3, np.int8), np.zeros(3))
