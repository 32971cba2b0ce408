"""What A/B tests decide of streams whose truth is known: by simulation, looked at after every few outcomes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import scipy.stats
from modelog_common.domain.errors import Invalid
from modelog_common.testing.scenario import NOW
from modelog_monitoring.abtest.decide import verdict_of
from modelog_monitoring.abtest.events import AbMethod, AbMetric, AbPlan, AbTestLooked, Verdict
from modelog_monitoring.handle.ab_tests import checked
from modelog_monitoring.stats.ab import looked, sample_size, values_of
from modelog_stats.power import means_size, proportions_size

TESTS, EVENTS, LOOK = 200, 2_000, 40
ALPHA = 0.1
# More wrong decisions than this happen once in a thousand times where the level is kept.
MOST = scipy.stats.binom.isf(0.001, TESTS, ALPHA)
PLAN = checked(
    AbPlan(
        "flights", "1.0.0", "1.1.0", AbMetric.OUTCOME, 0.5, True, 0.08, ALPHA, 0.8, 0.3, 0.0, AbMethod.MIXTURE_SPRT, 0.0
    )
)


def decided(plan: AbPlan, rng: np.random.Generator, share_a: float, share_b: float, split: float) -> Verdict | None:
    """The decision of one test that is looked at after every 40 outcomes, None when it makes none."""
    in_b = rng.random(EVENTS) < split
    labels = (rng.random(EVENTS) < np.where(in_b, share_b, share_a)).astype(float)
    state = None
    for start in range(0, EVENTS, LOOK):
        part = slice(start, start + LOOK)
        values = values_of(plan, np.zeros(LOOK), labels[part])
        figures, state = looked(plan, split, EVENTS, state, in_b[part], values)
        verdict = verdict_of(plan, figures)
        if verdict is not None:
            return verdict
    return None


@pytest.mark.parametrize("method", [AbMethod.MIXTURE_SPRT, AbMethod.CONFIDENCE_SEQUENCE])
@pytest.mark.parametrize("split", [0.5, 0.2])
def test_equal_versions_that_are_watched_all_the_time_are_called_different_at_most_at_alpha(
    method: AbMethod, split: float
) -> None:
    plan = msgspec.structs.replace(PLAN, method=method)
    rng = np.random.default_rng(2017)
    found = [decided(plan, rng, 0.3, 0.3, split) for _ in range(TESTS)]
    assert sum(verdict in (Verdict.A_BETTER, Verdict.B_BETTER) for verdict in found) <= MOST


def test_a_difference_that_just_matters_is_hardly_ever_called_none() -> None:
    rng = np.random.default_rng(2021)
    found = [decided(PLAN, rng, 0.3, 0.38, 0.5) for _ in range(TESTS)]
    assert sum(verdict in (Verdict.A_BETTER, Verdict.NO_DIFFERENCE) for verdict in found) <= MOST


def test_equal_versions_are_called_equal_where_only_large_differences_matter() -> None:
    rng = np.random.default_rng(5)
    plan = msgspec.structs.replace(PLAN, min_effect=0.2)
    found = [decided(plan, rng, 0.3, 0.3, 0.5) for _ in range(20)]
    assert found.count(Verdict.NO_DIFFERENCE) >= 18


@pytest.mark.parametrize("method", list(AbMethod))
def test_a_planted_difference_is_found_and_has_its_sign(method: AbMethod) -> None:
    plan = msgspec.structs.replace(PLAN, method=method)
    rng = np.random.default_rng(7)
    found = [decided(plan, rng, 0.2, 0.5, 0.5) for _ in range(20)]
    assert set(found) == {Verdict.B_BETTER}
    plan = msgspec.structs.replace(plan, higher_is_better=False)
    assert decided(plan, rng, 0.2, 0.5, 0.5) is Verdict.A_BETTER


@pytest.mark.parametrize("method", list(AbMethod))
def test_what_is_remembered_goes_through_the_log_and_on_as_if_nothing_had_been(method: AbMethod) -> None:
    plan = msgspec.structs.replace(PLAN, method=method)
    rng = np.random.default_rng(3)
    in_b, values = rng.random(400) < 0.5, (rng.random(400) < 0.3).astype(float)
    straight: Any = None
    stored: Any = None
    for start in range(0, 400, 50):
        part = slice(start, start + 50)
        figures, straight = looked(plan, 0.5, 400, straight, in_b[part], values[part])
        again, stored = looked(plan, 0.5, 400, stored, in_b[part], values[part])
        event = AbTestLooked("t", "newer", 1, NOW, again, stored, NOW)
        stored = msgspec.json.decode(msgspec.json.encode(event), type=AbTestLooked).state
        assert (again, stored) == (figures, straight)
    assert figures.events_a + figures.events_b == 400


def test_the_figure_of_a_prediction() -> None:
    scores, labels = np.array([0.9, 0.4, 0.5, 0.1]), np.array([1.0, 1.0, 0.0, 0.0])

    def values(metric: AbMetric) -> list[float]:
        return [round(float(v), 4) for v in values_of(msgspec.structs.replace(PLAN, metric=metric), scores, labels)]

    assert values(AbMetric.ERROR) == [0, 1, 1, 0]
    assert values(AbMetric.SQUARED_ERROR) == [0.01, 0.36, 0.25, 0.01]
    assert values(AbMetric.LOG_LOSS) == [0.1054, 0.9163, 0.6931, 0.1054]
    assert values(AbMetric.OUTCOME) == [1, 1, 0, 0]


def test_sizes_are_those_of_the_power_analysis() -> None:
    # The analysis itself is held to R's in unit/stats. Of both directions the one that needs more is planned for.
    one = max(proportions_size(0.3, other, power=0.8, alpha=ALPHA) for other in (0.38, 0.22))
    needed = sample_size(PLAN, 0.5)
    assert (needed.a, needed.b, needed.watched) == (one, one, 4 * one)
    uneven = sample_size(PLAN, 0.2)
    assert uneven.a > needed.a
    assert uneven.b == pytest.approx(uneven.a / 4, abs=1)
    means = msgspec.structs.replace(PLAN, metric=AbMetric.SQUARED_ERROR, higher_is_better=False, sd=0.2, min_effect=0.1)
    assert sample_size(means, 0.5).a == means_size(0.1, 0.2, power=0.8, alpha=ALPHA)


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"b": "1.0.0"}, "b", "name two versions"),
        ({"min_effect": 0.0}, "min_effect", "smallest difference that matters"),
        ({"power": 0.05}, "power", "between alpha, 0.1, and 1"),
        ({"power": 1.0}, "power", "between alpha"),
        ({"baseline": 0.0}, "baseline", "is needed for the outcome"),
        ({"min_effect": 0.9}, "min_effect", "from 0.3 no share is so far"),
        ({"metric": AbMetric.ERROR}, "higher_is_better", "less of the error is always better"),
        ({"metric": AbMetric.LOG_LOSS, "higher_is_better": False, "sd": 0.0}, "sd", "about its standard deviation"),
        (
            {"metric": AbMetric.LOG_LOSS, "higher_is_better": False, "method": AbMethod.EXACT, "sd": 1.0},
            "method",
            "the log loss has none",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_its_field(change: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(Invalid, match=text) as refused:
        checked(msgspec.structs.replace(PLAN, **change))
    assert [v.field for v in refused.value.violations] == [field]
