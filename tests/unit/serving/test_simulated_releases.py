"""Whole releases, simulated: how often equal models are told apart, and how soon bad ones are found."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from modelog_common.testing.scenario import context
from modelog_serving.release.commands import RecordEvidence, StartRelease
from modelog_serving.release.decide import RELEASES
from modelog_serving.release.events import Counts, ReleaseEvent, ReleasePromoted, ReleaseRolledBack, Served
from modelog_serving.release.evidence import StepTests, begun
from modelog_serving.release.plan import OutcomePlan, Pattern, Plan, checked
from modelog_serving.release.state import Release
from modelog_stats.ab.boundaries import log_normal_mixture
from modelog_stats.ab.msprt import MINIMUM
from modelog_stats.ab.rates import log_evidence

Floats = npt.NDArray[np.float64]
RELEASES_MADE, EVENTS = 2_000, 700
OUTCOME = OutcomePlan("error", 0.05, baseline=0.2)
PLAN = checked(Plan(Pattern.CANARY, (10.0, 50.0, 100.0), error_margin=0.02, latency_margin=0.05, outcome=OUTCOME))


def of_outcomes(k: Floats) -> Floats:
    """The mixture SPRT of monitoring's A/B tests on counts (wrong a, n a, wrong b, n b); more wrong ones are worse."""
    k_a, n_a, k_b, n_b = k
    rates = k_a / np.maximum(n_a, 1), k_b / np.maximum(n_b, 1)
    variance = sum(r * (1 - r) / np.maximum(n, 1) for r, n in zip(rates, (n_a, n_b), strict=True))
    told = (np.minimum(n_a, n_b) >= MINIMUM) & (variance > 0)
    safe = np.where(told, variance, 1.0)
    return np.where(told, log_normal_mixture((rates[1] - rates[0]) / safe, 1 / safe, 1 / OUTCOME.effect**2), 0.0)


def test_equal_models_are_told_apart_in_at_most_alpha_of_releases() -> None:
    """Each of 2,000 releases of a model as good as the old one, looked at after each of its requests in both steps.

    Rolled back as harmful, by any figure in any step, or promoted as better: each in at most alpha of them.
    """
    draw = np.random.default_rng(11)
    harmed, better = np.zeros(RELEASES_MADE, bool), np.zeros(RELEASES_MADE, bool)
    level, sure = math.log(PLAN.tests / PLAN.alpha), math.log(1 / PLAN.alpha)
    for percent in PLAN.steps[:-1]:
        counts = np.zeros((3, 4, RELEASES_MADE))
        for _ in range(EVENTS):
            new = draw.random(RELEASES_MADE) < percent / 100
            for figure, rate in enumerate((0.005, 0.02, OUTCOME.baseline)):
                event = draw.random(RELEASES_MADE) < rate
                counts[figure] += np.stack((event & ~new, ~new, event & new, new))
            for figure in counts[:2]:
                harmed |= log_evidence(*figure) >= level
            found, difference = of_outcomes(counts[2]), counts[2][2] / np.maximum(counts[2][3], 1)
            difference = difference - counts[2][0] / np.maximum(counts[2][1], 1)
            harmed |= (found >= level) & (difference > 0)
            if percent == PLAN.steps[-2]:
                better |= (found >= sure) & (difference < 0)
    print(f"of {RELEASES_MADE:,} equal ones {harmed.mean():.2%} rolled back as harmful, {better.mean():.2%} promoted")
    assert harmed.mean() <= PLAN.alpha
    assert better.mean() <= PLAN.alpha


def released(plan: Plan, errors: tuple[float, float], slow: tuple[float, float], seed: int) -> tuple[ReleaseEvent, int]:
    """One release through the decider itself, looked at after each 10 requests: how it ends, and after how many."""
    draw = np.random.default_rng(seed)
    release, seen, last = Release(), 0, None
    old, new = Served("1.0.0", "a", "xgboost"), Served("1.1.0", "b", "xgboost")
    for event in RELEASES.decide(release, StartRelease("d", "flights", "m", old, new, plan), context()):
        release = RELEASES.evolve(release, event)
    tests: StepTests = begun(plan, None)
    while release.running:
        size = int(draw.binomial(10, release.percent / 100))
        counts = [
            Counts(n, wrong := int(draw.binomial(n, e)), int(draw.binomial(n - wrong, s)))
            for n, e, s in zip((10 - size, size), errors, slow, strict=True)
        ]
        tests, seen = tests.add(*counts), seen + size
        step = release.step
        command = RecordEvidence(1, tests.evidence(step))
        for last in RELEASES.decide(release, command, context()):
            release = RELEASES.evolve(release, last)
        if release.step != step:
            tests = begun(plan, None)
    assert last is not None
    return last, seen


@pytest.mark.parametrize(
    ("errors", "slow", "why"),
    [
        ((0.005, 1.0), (0.01, 0.01), "more failed requests"),
        ((0.005, 0.1), (0.01, 0.01), "more failed requests"),
        ((0.005, 0.005), (0.01, 0.3), "more slow answers"),
    ],
)
def test_planted_regressions_are_rolled_back(errors: tuple[float, float], slow: tuple[float, float], why: str) -> None:
    plan = checked(Plan(Pattern.CANARY, error_margin=0.02, latency_margin=0.05))
    delays = []
    for seed in range(5):
        event, seen = released(plan, errors, slow, seed)
        assert isinstance(event, ReleaseRolledBack)
        assert event.reason.startswith(why)
        delays.append(seen)
    print(f"errors {errors}, slow {slow}: after {np.median(delays):g} requests of the candidate, at most {max(delays)}")
    assert np.median(delays) < 200


def test_a_good_model_comes_through() -> None:
    plan = checked(Plan(Pattern.CANARY, (25.0, 50.0, 100.0), error_margin=0.05))
    event, seen = released(plan, (0.01, 0.01), (0.0, 0.0), 1)
    assert isinstance(event, ReleasePromoted)
    print(f"promoted after {seen} requests of the candidate")
