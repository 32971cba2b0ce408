"""Two rates compared at any time: what the evidence is, and how often it is wrong when looked at after each event."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from modelog_stats.ab.rates import RateTest, log_evidence
from modelog_stats.checks import BadInput
from scipy.stats import beta, binom

ALPHA = 0.05
RELEASES = 2_000


def largest_evidence(
    rate_a: float, rate_b: float, share_b: float, events: int, apart: float = 0.0, *, safety: bool = False
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Of RELEASES simulated ones, looked at after every event: the largest evidence, and after which event of b's it
    first was enough (-1: never). With `safety`, that b is less than -apart above a.
    """
    draw = np.random.default_rng(7)
    counts = np.zeros((4, RELEASES))
    largest, first = np.zeros(RELEASES), np.full(RELEASES, -1)
    for _ in range(events):
        in_b = draw.random(RELEASES) < share_b
        event = draw.random(RELEASES) < np.where(in_b, rate_b, rate_a)
        counts += np.stack((event & ~in_b, ~in_b, event & in_b, in_b))
        k_a, n_a, k_b, n_b = counts
        found = log_evidence(k_b, n_b, k_a, n_a, apart) if safety else log_evidence(k_a, n_a, k_b, n_b, apart)
        np.maximum(largest, found, out=largest)
        first[(first < 0) & (largest >= math.log(1 / ALPHA))] = 0
        first[first == 0] = n_b[first == 0]
    return largest, first


@pytest.mark.parametrize(("rate", "share"), [(0.01, 0.05), (0.001, 0.5), (0.2, 0.25)])
def test_equal_rates_are_found_different_in_at_most_alpha_of_cases(rate: float, share: float) -> None:
    largest, _ = largest_evidence(rate, rate, share, 2_000)
    assert (largest >= math.log(1 / ALPHA)).mean() <= ALPHA


def test_a_candidate_that_is_worse_by_the_margin_is_proved_safe_in_at_most_alpha_of_cases() -> None:
    largest, _ = largest_evidence(0.05, 0.1, 0.5, 1_000, -0.05, safety=True)
    assert (largest >= math.log(1 / ALPHA)).mean() <= ALPHA
    assert largest.max() > 0, "it came near"


def test_equal_candidates_are_proved_safe_in_the_end() -> None:
    largest, _ = largest_evidence(0.02, 0.02, 0.5, 1_500, -0.05, safety=True)
    assert (largest >= math.log(1 / ALPHA)).mean() > 0.8


def test_planted_regressions_are_found_and_soon() -> None:
    for rate_b, events, most in ((1.0, 200, 5), (0.2, 1_500, 60), (0.05, 4_000, 400)):
        largest, first = largest_evidence(0.005, rate_b, 0.1 if rate_b > 0.1 else 0.25, events)
        found = first[largest >= math.log(1 / ALPHA)]
        late = int(np.quantile(found, 0.95))
        print(f"errors 0.5 % to {rate_b:.0%}: after {np.median(found):g} requests of the candidate, 95 % by {late}")
        assert len(found) >= 0.95 * RELEASES
        assert np.median(found) <= most


def test_the_evidence_is_the_ratio_of_mixture_and_likeliest_allowed_rates() -> None:
    rates = np.linspace(1e-6, 1 - 1e-6, 4_001)
    for apart in (0.0, 0.03, -0.03):
        k_a, n_a, k_b, n_b = 3, 70, 9, 60
        allowed = [
            binom.logpmf(k_a, n_a, rates) + binom.logpmf(k_b, n_b, np.clip(rates + apart - less, 0, 1))
            for less in np.linspace(0, 1, 101)
        ]
        mixture = sum(
            math.log(np.mean(binom.pmf(k, n, beta.ppf((np.arange(4000) + 0.5) / 4000, 0.5, 0.5))))
            for k, n in ((k_a, n_a), (k_b, n_b))
        )
        assert float(log_evidence(k_a, n_a, k_b, n_b, apart)) == pytest.approx(mixture - np.max(allowed), abs=5e-3)


def test_nothing_is_known_of_no_requests() -> None:
    test = RateTest(0.01)
    assert (test.harm_p, test.safety_p, test.interval(ALPHA)) == (1.0, 1.0, (-1.0, 1.0))
    assert RateTest(0.01).add(0, 10_000, 0, 0).harm_p == 1.0


def test_evidence_adds_up_whatever_the_batches() -> None:
    whole = RateTest(0.01).add(3, 300, 9, 100)
    parts = RateTest(0.01).add(1, 100, 3, 50).add(2, 200, 6, 50)
    assert (parts.events_a, parts.n_a, parts.events_b, parts.n_b) == (3, 300, 9, 100)
    assert parts.harm >= whole.harm
    low, high = whole.interval(ALPHA)
    assert whole.difference == pytest.approx(0.08)
    assert -1 < low < 0.08 < high < 1


@pytest.mark.parametrize("counts", [(2, 1, 0, 0), (-1, 1, 0, 0), (0, 0, 3, 2)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadInput, match="from 0 to the number of requests"):
        RateTest(0.01).add(*counts)
