"""A/B tests looked at after every event: boundaries against confseq; level, coverage and power by simulation."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from modelog_stats.ab import boundaries, msprt, randomised
from modelog_stats.ab.arm import Arm, arm_of, arm_of_counts
from modelog_stats.ab.msprt import MixtureSprt
from modelog_stats.ab.randomised import RandomisedTest
from modelog_stats.checks import BadInput
from modelog_stats.power import proportions_size

Bools = np.ndarray
TESTS, EVENTS, ALPHA = 2_000, 2_000, 0.05
# More false findings than this happen once in a thousand times where the level is kept.
MOST = scipy.stats.binom.isf(0.001, TESTS, ALPHA)


def test_boundaries_are_those_of_confseq() -> None:
    # The unit tests of Howard's confseq, whose targets come from a reference in R.
    rho = boundaries.best_rho(100, 0.05)
    assert rho == pytest.approx(12.60056, abs=1e-5)
    assert boundaries.log_normal_mixture(10, 100, rho) == pytest.approx(-0.6510052, abs=1e-5)
    assert boundaries.normal_bound(100, rho, 0.05) == pytest.approx(30.35209, abs=1e-5)
    # confseq tunes a one-sided bound as the two-sided one at twice its level.
    one_sided = boundaries.best_rho(100, 0.1)
    assert boundaries.log_gamma_exponential_mixture(10, 100, one_sided, 2) == pytest.approx(-0.2490165, abs=1e-5)
    assert boundaries.gamma_exponential_bound(100, one_sided, 2, 0.05) == pytest.approx(33.02017, abs=1e-5)


def test_a_sum_far_below_zero_is_no_evidence_of_one_above() -> None:
    evidence = boundaries.log_gamma_exponential_mixture([-1e6, -100.0, 100.0], [100.0] * 3, 12.6, 1)
    assert evidence[0] == -math.inf
    assert evidence[1] < 0 < evidence[2]


def test_mixture_is_johari_s() -> None:
    # Johari et al. 2022, formula for two normal streams of n pairs with known variance: V = 2 sigma^2.
    n, difference, sigma2, tau2 = 50, 0.3, 1.7, 0.04
    v = 2 * sigma2
    theirs = math.sqrt(v / (v + n * tau2)) * math.exp(n**2 * tau2 * difference**2 / (2 * v * (v + n * tau2)))
    variance = v / n
    ours = boundaries.log_normal_mixture(difference / variance, 1 / variance, 1 / tau2)
    assert math.exp(ours) == pytest.approx(theirs)


def streams(rng: np.random.Generator, share_a: float, share_b: float, split: float = 0.5) -> tuple[Bools, Bools]:
    """Assignments and outcomes of every test, shapes (TESTS, EVENTS)."""
    in_b = rng.random((TESTS, EVENTS), dtype=np.float32) < split
    return in_b, rng.random((TESTS, EVENTS), dtype=np.float32) < np.where(in_b, share_b, share_a).astype(np.float32)


def running(in_b: Bools, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, its variance and the smaller arm's events after each event, as MixtureSprt has them."""
    sides = []
    for which in (~in_b, in_b):
        n = np.cumsum(which, axis=1, dtype=np.float64)
        mean = np.cumsum(which * outcome, axis=1, dtype=np.float64) / np.maximum(n, 1)
        square = np.cumsum(which * outcome**2, axis=1, dtype=np.float64) / np.maximum(n, 1)
        sides.append((n, mean, (square - mean**2) / np.maximum(n, 1)))
    (n_a, mean_a, v_a), (n_b, mean_b, v_b) = sides
    return mean_b - mean_a, v_a + v_b, np.minimum(n_a, n_b)


def evidence_of(in_b: Bools, outcome: np.ndarray, tau: float, truth: float = 0.0) -> np.ndarray:
    """Logarithm of the evidence against a difference of `truth` after each event, shape (TESTS, EVENTS)."""
    estimate, variance, events = running(in_b, outcome)
    told = (events >= msprt.MINIMUM) & (variance > 1e-12)
    variance = np.where(told, variance, 1)
    evidence = boundaries.log_normal_mixture((estimate - truth) / variance, 1 / variance, 1 / tau**2)
    return np.where(told, evidence, -np.inf)


@pytest.mark.parametrize(("share", "tau"), [(0.02, 0.02), (0.3, 0.1)])
def test_a_a_tests_of_shares_looked_at_after_every_event_keep_their_level(share: float, tau: float) -> None:
    in_b, outcome = streams(np.random.default_rng(2017), share, share)
    rejected = (evidence_of(in_b, outcome, tau) >= -math.log(ALPHA)).any(axis=1)
    assert 0 < rejected.sum() <= MOST
    # What everybody does instead: the same data, tested at 5 % after every event.
    estimate, variance, events = running(in_b, outcome)
    naive = (events >= msprt.MINIMUM) & (np.abs(estimate) > 1.96 * np.sqrt(variance))
    assert naive.any(axis=1).sum() > 5 * rejected.sum()


def test_a_a_tests_of_skewed_means_looked_at_after_every_event_keep_their_level() -> None:
    rng = np.random.default_rng(2022)
    in_b = rng.random((TESTS, EVENTS)) < 0.5
    outcome = rng.exponential(size=(TESTS, EVENTS))
    assert (evidence_of(in_b, outcome, 0.2) >= -math.log(ALPHA)).any(axis=1).sum() <= MOST


def test_the_interval_covers_at_all_times_at_once_and_planted_effects_are_found() -> None:
    in_b, outcome = streams(np.random.default_rng(5), 0.2, 0.3)
    left = (evidence_of(in_b, outcome, 0.1, truth=0.1) >= -math.log(ALPHA)).any(axis=1)
    assert left.sum() <= MOST
    found = (evidence_of(in_b, outcome, 0.1) >= -math.log(ALPHA)).any(axis=1)
    assert found.mean() > 0.95
    when = (evidence_of(in_b, outcome, 0.1)[found] >= -math.log(ALPHA)).argmax(axis=1)
    # A test of fixed length that finds as many needs this many events; always looking costs, and often stops sooner.
    assert np.median(when) < 2 * proportions_size(0.2, 0.3, power=0.95)


def test_the_state_goes_event_by_event_as_the_simulations_do() -> None:
    in_b, outcome = (part[:3, :600] for part in streams(np.random.default_rng(6), 0.2, 0.35))
    evidence = evidence_of(in_b, outcome, 0.1)
    for row in range(3):
        test = MixtureSprt(tau=0.1)
        for event, (b, y) in enumerate(zip(in_b[row], outcome[row], strict=True)):
            one = arm_of_counts(int(y), 1)
            test = test.add(Arm(), one) if b else test.add(one, Arm())
            assert test.p_value == pytest.approx(min(1.0, math.exp(-evidence[row, : event + 1].max())))
        assert test.decided == (evidence[row].max() >= -math.log(ALPHA))


outcomes = st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), max_size=20)


@given(outcomes, outcomes)
def test_arms_merge_as_if_they_had_been_one(first: list[float], second: list[float]) -> None:
    merged, whole = arm_of(first).merged(arm_of(second)), arm_of(first + second)
    assert dataclasses.astuple(merged) == pytest.approx(dataclasses.astuple(whole), abs=1e-9)


def test_counts_are_outcomes_of_zeros_and_ones() -> None:
    assert dataclasses.astuple(arm_of([1, 0, 0, 1, 1])) == pytest.approx(dataclasses.astuple(arm_of_counts(3, 5)))
    assert arm_of_counts(0, 0) == arm_of([]) == Arm()


def test_nothing_is_told_of_few_or_constant_outcomes() -> None:
    few = MixtureSprt(tau=0.1).add(arm_of_counts(0, 99), arm_of_counts(99, 99))
    constant = MixtureSprt(tau=0.1).add(arm_of_counts(0, 500), arm_of_counts(0, 500))
    for test in (few, constant):
        assert (test.p_value, test.interval, test.decided) == (1, None, False)
        assert test.report().low == -math.inf


def test_the_report_says_it_in_a_sentence_and_the_state_is_stored() -> None:
    test = MixtureSprt(tau=0.05).add(arm_of_counts(100, 1_000), arm_of_counts(180, 1_000))
    stored = json.loads(json.dumps(dataclasses.asdict(test)))
    again = MixtureSprt(
        **{**stored, "a": Arm(**stored["a"]), "b": Arm(**stored["b"]), "interval": tuple(stored["interval"])}
    )
    assert again == test
    report = test.report("conversion")
    assert test.decided
    assert report.low > 0
    assert report.sentence.startswith(
        "conversion of b is higher than that of a by 0.08 (95 % interval of the difference 0.0"
    )
    assert report.sentence.endswith("; mixture SPRT, always valid, 2,000 events, p < 0.0001)")


def scored(in_b: Bools, outcome: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of scores, of squared surprises, and scored events after each event, as RandomisedTest has them."""
    known = np.ones(in_b.shape, dtype=bool)
    means = []
    for which in (~in_b, in_b):
        n = np.cumsum(which, axis=1) - which
        mean = (np.cumsum(which * outcome, axis=1, dtype=np.float64) - which * outcome) / np.maximum(n, 1)
        known &= n > 0
        means.append(mean)
    surprise = np.where(in_b, (outcome - means[1]) / share, -(outcome - means[0]) / (1 - share)) * known
    scores = np.where(known, means[1] - means[0], 0) + surprise
    return np.cumsum(scores, axis=1), np.cumsum(surprise**2, axis=1), np.cumsum(known, axis=1)


@pytest.mark.parametrize("exact", [True, False])
def test_confidence_sequences_cover_at_all_times_and_find_planted_effects(exact: bool) -> None:
    share, truth = 0.3, 0.2
    in_b, outcome = streams(np.random.default_rng(2021), 0.4, 0.4 + truth, split=share)
    test = RandomisedTest(planned=EVENTS, sd=0.5, share=share, outcomes=(0, 1) if exact else None)
    scores, spread, events = scored(in_b, outcome, share)
    told = events >= (1 if exact else randomised.MINIMUM)

    def crossed(difference: float) -> np.ndarray:
        evidence = test.log_evidence(scores - difference * events, spread)
        return np.asarray((np.where(told, evidence, -np.inf) >= -math.log(ALPHA)).any(axis=1))

    assert crossed(truth).sum() <= MOST
    assert crossed(0.0).mean() > 0.9


@pytest.mark.parametrize("exact", [True, False])
def test_a_a_tests_with_a_drifting_base_rate_keep_their_level(exact: bool) -> None:
    """Outcomes that change for both arms alike, which the mixture test's assumptions leave out."""
    rng = np.random.default_rng(2024)
    rate = 0.3 + 0.2 * np.sin(np.arange(EVENTS) / 150)
    in_b = rng.random((TESTS, EVENTS)) < 0.5
    outcome = rng.random((TESTS, EVENTS)) < rate
    test = RandomisedTest(planned=EVENTS, sd=0.45, outcomes=(0, 1) if exact else None)
    scores, spread, events = scored(in_b, outcome, 0.5)
    evidence = np.where(events >= (1 if exact else randomised.MINIMUM), test.log_evidence(scores, spread), -np.inf)
    assert (evidence >= -math.log(ALPHA)).any(axis=1).sum() <= MOST


@given(st.integers(0, 400), st.booleans(), st.integers(0, 5))
def test_batches_do_not_matter(cut: int, exact: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    in_b, outcome = rng.random(400) < 0.5, rng.random(400)
    start = RandomisedTest(planned=400, sd=0.3, outcomes=(0, 1) if exact else None)
    whole, parts = start.add(in_b, outcome), start.add(in_b[:cut], outcome[:cut]).add(in_b[cut:], outcome[cut:])
    for field in ("events", "totals", "scored", "score", "spread", "evidence"):
        assert getattr(parts, field) == pytest.approx(getattr(whole, field))
    scores, spread, _ = scored(in_b[None, :], outcome[None, :], 0.5)
    assert (whole.score, whole.spread) == pytest.approx((scores[0, -1], spread[0, -1]))


@pytest.mark.parametrize("exact", [True, False])
def test_interval_and_p_value_say_the_same_at_a_single_look(exact: bool) -> None:
    rng = np.random.default_rng(9)
    in_b = rng.random(3_000) < 0.5
    outcome = rng.random(3_000) < np.where(in_b, 0.5, 0.3)
    test = RandomisedTest(planned=3_000, sd=0.5, outcomes=(0, 1) if exact else None).add(in_b, outcome)
    low, high = test.interval
    assert 0 < low < 0.2 < high
    assert test.p_value < ALPHA
    assert test.estimate == pytest.approx(0.2, abs=0.05)
    assert json.loads(json.dumps(dataclasses.asdict(test)))["scored"] == test.scored
    kind = "empirical Bernstein" if exact else "asymptotic"
    assert f"confidence sequence, {kind}, 3,000 events" in test.report("conversion").sentence


def test_unbounded_outcomes_far_from_zero_are_no_trouble() -> None:
    rng = np.random.default_rng(10)
    in_b = rng.random(4_000) < 0.5
    outcome = rng.normal(1_000, 5, 4_000) + np.where(in_b, 1, 0)
    test = RandomisedTest(planned=4_000, sd=5).add(in_b, outcome)
    low, high = test.interval
    assert 0 < low < 1 < high < 3


def test_a_young_test_has_no_interval() -> None:
    young = RandomisedTest(planned=100, sd=1.0)
    assert young.interval == (-math.inf, math.inf)
    assert young.add([], []) is young
    assert (young.report().p_value, young.estimate) == (1, 0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: MixtureSprt(tau=0), "tau: 0 is not allowed; it must lie between 0 and inf"),
        (lambda: arm_of_counts(3, 2), "successes: 3 is not allowed; from 0 to n, 2, is needed"),
        (lambda: arm_of([0, np.nan]), "outcomes: nan is not allowed"),
        (lambda: RandomisedTest(planned=10, sd=1, share=1), "share: 1 is not allowed; it must lie between 0 and 1"),
        (lambda: RandomisedTest(planned=10, sd=1, outcomes=(1, 0)), r"outcomes: \(1, 0\) is not allowed"),
        (lambda: RandomisedTest(planned=10, sd=1).scale, "outcomes: they are needed for the exact sequence"),
        (
            lambda: RandomisedTest(planned=10, sd=1).add([0], [1, 2]),
            "outcome: 2 are not allowed; as many as in in_b, 1",
        ),
        (
            lambda: RandomisedTest(planned=10, sd=1, outcomes=(0, 1)).add([0], [1.5]),
            "outcome: 1.5 is not allowed; from 0 to 1",
        ),
    ],
)
def test_tests_without_an_answer_are_refused_by_name(call: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call()  # type: ignore[operator]
