"""Paired differences looked at any time: what the evidence is, and how often it is wrong when looked at each batch."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from modelog_stats.ab.paired import BETS, PairedTest, log_evidence
from modelog_stats.checks import BadInput
from scipy.special import logsumexp

ALPHA = 0.05
CANARIES, BATCHES, ROWS = 2_000, 40, 50
ENOUGH = math.log(2 / ALPHA)
# More false findings than this happen once in a thousand times where the level is kept.
MOST = scipy.stats.binom.isf(0.001, CANARIES, ALPHA / 2)


def gains(draw: np.random.Generator, worse: float, noise: float) -> npt.NDArray[np.float64]:
    """Brier score of a champion minus that of a challenger, shape (CANARIES, BATCHES * ROWS).

    Both are off the truth, in logits, by `noise` of their own; the challenger's are wrong by `worse` besides.
    """
    truth = draw.normal(-1.5, 1.0, (CANARIES, BATCHES * ROWS))
    label = draw.random(truth.shape) < 1 / (1 + np.exp(-truth))
    champion, challenger = (
        1 / (1 + np.exp(-(truth + draw.normal(0, noise, truth.shape) + extra))) for extra in (0.0, worse)
    )
    return np.asarray((champion - label) ** 2 - (challenger - label) ** 2)


def evidence(differences: npt.NDArray[np.float64], apart: float, sign: int = 1) -> npt.NDArray[np.float64]:
    """That the mean of sign * difference is above `apart`, after each batch, shape (CANARIES, BATCHES)."""
    n = np.arange(ROWS, BATCHES * ROWS + 1, ROWS)
    sums = [np.cumsum((sign * differences) ** power, axis=1)[:, n - 1] for power in (1, 2, 3, 4)]
    return log_evidence(n, sums, apart)


def crossed(differences: npt.NDArray[np.float64], apart: float, sign: int = 1) -> npt.NDArray[np.bool_]:
    """Of which canaries it was enough, after any batch."""
    return np.asarray((evidence(differences, apart, sign) >= ENOUGH).any(axis=1))


@pytest.mark.parametrize("noise", [0.4, 1.0])
def test_equal_challengers_watched_at_each_batch_are_found_different_in_at_most_alpha_of_cases(noise: float) -> None:
    differences = gains(np.random.default_rng(7), 0.0, noise)
    better, worse = crossed(differences, 0).sum(), crossed(differences, 0, -1).sum()
    # What everybody does instead: the same batches, tested at 5 % after each.
    n = np.arange(ROWS, BATCHES * ROWS + 1, ROWS)
    mean = np.cumsum(differences, axis=1)[:, n - 1] / n
    sd = np.sqrt(np.cumsum(differences**2, axis=1)[:, n - 1] / n - mean**2)
    naive = (mean > 1.96 * sd / np.sqrt(n)).any(axis=1).sum()
    print(f"of {CANARIES:,} A/A canaries {better} better, {worse} worse; by a test of one look {naive} better")
    assert better + worse <= ALPHA * CANARIES
    assert naive > ALPHA * CANARIES


def test_one_that_is_worse_by_the_margin_is_found_not_worse_in_at_most_alpha_of_cases() -> None:
    draw, margin = np.random.default_rng(8), 0.1
    wrong = crossed(np.where(draw.random((CANARIES, BATCHES * ROWS)) < 0.5, 0.4, -0.6), -margin).sum()
    assert 0 < wrong <= MOST


def test_planted_regressions_are_refused_and_soon() -> None:
    for worse, at_least, most in ((1.0, 0.99, 450), (0.6, 0.9, 1_300)):
        differences = gains(np.random.default_rng(9), worse, 0.3)
        found = evidence(differences, 0, -1) >= ENOUGH
        refused = ROWS * (found.argmax(axis=1) + 1)[found.any(axis=1)]
        late = int(np.quantile(refused, 0.95))
        print(
            f"Brier score worse by {-differences.mean():.4f}: {len(refused) / CANARIES:.1%} refused, "
            f"after {np.median(refused):g} rows, 95 % of them by {late}"
        )
        assert len(refused) >= at_least * CANARIES
        assert np.median(refused) <= most
        assert not crossed(differences, 0).any()


def test_the_state_goes_batch_by_batch_as_the_simulations_do() -> None:
    differences = gains(np.random.default_rng(9), 0.8, 0.3)[:4]
    above, below = evidence(differences, 0), evidence(differences, 0, -1)
    for canary, row in enumerate(differences):
        test = PairedTest(ALPHA)
        for look, batch in enumerate(row.reshape(BATCHES, ROWS)):
            test = test.add(batch)
            assert (test.high < 0) == bool((below[canary, : look + 1] >= ENOUGH).any())
            assert (test.low > 0) == bool((above[canary, : look + 1] >= ENOUGH).any())
            most = max(above[canary, look], below[canary, look])
            assert test.p_value == pytest.approx(min(1.0, 2 * math.exp(-most)))


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.4])
def test_the_power_sums_bound_the_capital_of_the_bets_from_below_and_lose_little(spread: float) -> None:
    values = np.clip(np.random.default_rng(3).standard_t(3, 2_000) * spread, -1, 1)
    sums = [float((values**power).sum()) for power in (1, 2, 3, 4)]
    lost = []
    for apart in np.linspace(-0.9, 0.9, 61):
        bets = BETS / max(1 + apart, 1)
        capital = logsumexp(np.log1p(bets[:, None] * (values - apart)).sum(axis=1)) - math.log(len(BETS))
        bound = float(log_evidence(len(values), sums, apart))
        assert bound <= capital + 1e-9
        # Near where the evidence is enough; further out nobody needs to know how much more than enough it is.
        if 1 < capital < 10:
            lost.append(1 - bound / capital)
    near = np.linspace(values.mean() - 8 * spread / 40, values.mean(), 41)
    for apart in near:
        bets = BETS / max(1 + apart, 1)
        capital = logsumexp(np.log1p(bets[:, None] * (values - apart)).sum(axis=1)) - math.log(len(BETS))
        if 1 < capital < 10:
            lost.append(1 - float(log_evidence(len(values), sums, apart)) / capital)
    assert lost, "some of the evidence lies near what is enough"
    assert max(lost) < 0.05


def test_the_interval_is_not_far_from_that_of_one_look() -> None:
    """Betting pays for looking at any time, and not for a range that is far wider than the differences."""
    values = np.clip(np.random.default_rng(4).normal(0.01, 0.1, 2_500), -1, 1)
    test = PairedTest(ALPHA).add(values)
    one_look = 1.96 * values.std() / math.sqrt(len(values))
    assert test.low < values.mean() < test.high
    assert (test.high - test.low) / 2 < 2 * one_look


differences = st.lists(st.floats(-1, 1), min_size=1, max_size=60)


@given(differences, differences)
def test_ends_close_in_around_a_mean_that_was_possible(first: list[float], second: list[float]) -> None:
    before = PairedTest(ALPHA).add(first)
    after = before.add(second)
    assert before.low <= after.low
    assert after.high <= before.high
    assert after.n == len(first) + len(second)
    mirrored = PairedTest(ALPHA).add([-d for d in first])
    assert (mirrored.low, mirrored.high) == pytest.approx((-before.high, -before.low), abs=1e-9)
    assert -1 <= before.low <= before.estimate <= before.high <= 1


@given(st.floats(-1, 1))
def test_rows_that_are_all_alike_are_believed_in_the_end(value: float) -> None:
    test = PairedTest(ALPHA).add(np.full(20_000, value))
    assert test.low <= value + 1e-6
    assert value - 1e-6 <= test.high
    assert test.high - test.low < 0.01


def test_nothing_is_known_of_no_rows_and_the_state_is_stored() -> None:
    young = PairedTest(ALPHA)
    assert (young.low, young.high, young.estimate, young.p_value) == (-1, 1, 0, 1)
    assert young.add([]) is young
    test = young.add(np.full(500, 0.05))
    stored = json.loads(json.dumps(dataclasses.asdict(test)))
    assert PairedTest(**{**stored, "sums": tuple(stored["sums"])}) == test
    report = test.report("Brier score")
    assert report.significant
    assert "95 % interval of the difference" in report.sentence
    assert report.sentence.endswith("confidence sequence by betting, 500 pairs, p < 0.0001)")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: PairedTest(0), "alpha: 0 is not allowed; it must lie between 0 and 1"),
        (lambda: PairedTest().add([0.5, -1.5]), "differences: -1.5 is not allowed; from -1 to 1 is"),
        (lambda: PairedTest().add([np.nan]), "differences: nan is not allowed; finite numbers are needed"),
    ],
)
def test_differences_without_an_answer_are_refused_by_name(call: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call()  # type: ignore[operator]
