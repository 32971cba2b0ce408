"""A/B tests of amounts: by simulation looked at after every outcome, what is planned and measured, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import scipy.stats
from data_plane import HERE, outcomes, predictions, stored, us
from modelog_common.domain.errors import Invalid
from modelog_monitoring.abtest.decide import verdict_of
from modelog_monitoring.abtest.events import AbMethod, AbMetric, AbPlan, Verdict
from modelog_monitoring.api.parse_ab import plan_of
from modelog_monitoring.data.store import WindowStore
from modelog_monitoring.handle.ab_plan import check_to_be_measured
from modelog_monitoring.handle.ab_tests import checked
from modelog_monitoring.handle.baseline import measure
from modelog_monitoring.stats.ab import looked, sample_size, values_of
from modelog_proto.monitoring.v1 import abtest_pb2 as pb
from modelog_stats.checks import BadInput
from modelog_stats.power import means_size

Draw = Callable[[np.random.Generator, int], np.ndarray]
TESTS, EVENTS, BATCH = 300, 4_000, 1_000
ALPHA = 0.1
# More wrong decisions than this happen once in a thousand times where the level is kept.
MOST = scipy.stats.binom.isf(0.001, TESTS, ALPHA)
PLAN = checked(
    AbPlan(
        "shop", "1.0.0", "1.1.0", AbMetric.AMOUNT, 0.5, True, 0.2, ALPHA, 0.8, 0.0, 1.0,
        AbMethod.CONFIDENCE_SEQUENCE, 0.0,
    )
)  # fmt: skip


def exponential(rng: np.random.Generator, events: int) -> np.ndarray:
    return rng.exponential(size=events)


def log_normal(rng: np.random.Generator, events: int) -> np.ndarray:
    return np.exp(rng.normal(size=events))


def purchases(rng: np.random.Generator, events: int) -> np.ndarray:
    """One in twenty buys something."""
    return (rng.random(events) < 0.05) * np.exp(rng.normal(size=events))


def decided(
    plan: AbPlan, rng: np.random.Generator, draw: Draw, *, step: float = 0.0, split: float = 0.5, events: int = EVENTS
) -> Verdict | None:
    """The decision of one test; a confidence sequence looks after each event, in batches of any size."""
    needed = sample_size(plan, split).watched
    in_b = rng.random(events) < split
    amounts = draw(rng, events) + step * in_b
    state = None
    for start in range(0, events, BATCH):
        part = slice(start, start + BATCH)
        figures, state = looked(plan, split, needed, state, in_b[part], amounts[part])
        verdict = verdict_of(plan, figures)
        if verdict is not None:
            return verdict
    return None


@pytest.mark.parametrize(("draw", "sd"), [(exponential, 1.0), (log_normal, 2.16), (purchases, 0.6)])
@pytest.mark.parametrize("split", [0.5, 0.2])
def test_equal_versions_are_called_different_at_most_at_alpha_however_skewed_and_unevenly_split(
    draw: Draw, sd: float, split: float
) -> None:
    plan = msgspec.structs.replace(PLAN, sd=sd, min_effect=sd / 5)
    rng = np.random.default_rng(2024)
    found = [decided(plan, rng, draw, split=split) for _ in range(TESTS)]
    assert sum(verdict in (Verdict.A_BETTER, Verdict.B_BETTER) for verdict in found) <= MOST


def test_exact_tests_of_bounded_amounts_keep_their_level_too() -> None:
    plan = msgspec.structs.replace(PLAN, method=AbMethod.EXACT, lowest=1.0, highest=5.0, sd=1.4)

    def ratings(rng: np.random.Generator, events: int) -> np.ndarray:
        return rng.choice([1.0, 5.0], events, p=[0.9, 0.1])

    rng = np.random.default_rng(2021)
    found = [decided(plan, rng, ratings, split=0.2) for _ in range(TESTS)]
    assert sum(verdict in (Verdict.A_BETTER, Verdict.B_BETTER) for verdict in found) <= MOST


@pytest.mark.parametrize(
    ("method", "tests"), [(AbMethod.CONFIDENCE_SEQUENCE, 100), (AbMethod.EXACT, 20)], ids=["sequence", "exact"]
)
@pytest.mark.parametrize("effect", [0.2, 0.4])
def test_the_smallest_difference_that_matters_is_found_with_the_power_that_was_asked_for(
    method: AbMethod, tests: int, effect: float
) -> None:
    """Also where few events are needed, and the sequence is tuned for more."""
    ends = (0.0, 10.0) if method is AbMethod.EXACT else (None, None)
    plan = msgspec.structs.replace(PLAN, min_effect=effect, method=method, lowest=ends[0], highest=ends[1])
    events = sample_size(plan, 0.5).watched

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        return np.minimum(rng.exponential(size=count), 9.0)

    rng = np.random.default_rng(7)
    found = [decided(plan, rng, draw, step=effect, events=events) for _ in range(tests)]
    assert found.count(Verdict.B_BETTER) >= scipy.stats.binom.ppf(0.001, tests, plan.power)
    less = msgspec.structs.replace(plan, higher_is_better=False)
    assert decided(less, rng, draw, step=3 * effect, events=events) is Verdict.A_BETTER


def test_an_amount_outside_of_the_range_that_was_named_has_no_place_in_an_exact_test() -> None:
    plan = msgspec.structs.replace(PLAN, method=AbMethod.EXACT, lowest=1.0, highest=5.0)
    with pytest.raises(BadInput, match=r"outcome: 7\.0 is not allowed; from 1\.0 to 5\.0 is"):
        looked(plan, 0.5, 100, None, np.array([True, False]), np.array([3.0, 7.0]))


def test_the_figure_is_the_amount_or_its_distance_from_the_score() -> None:
    scores, amounts = np.array([10.0, 0.5, -2.0]), np.array([12.5, 0.0, -2.0])
    assert values_of(PLAN, scores, amounts).tolist() == [12.5, 0.0, -2.0]
    error = msgspec.structs.replace(PLAN, metric=AbMetric.ABSOLUTE_ERROR, higher_is_better=False)
    assert values_of(error, scores, amounts).tolist() == [2.5, 0.5, 0.0]


def test_sizes_of_amounts_are_those_of_a_difference_of_means() -> None:
    plan = msgspec.structs.replace(PLAN, min_effect=0.05)
    one = means_size(0.05, 1.0, power=0.8, alpha=ALPHA)
    needed = sample_size(plan, 0.5)
    assert (needed.a, needed.b) == (one, one)
    assert 1.9 < needed.watched / (needed.a + needed.b) < 2.2
    # A large difference shows after a few, but a sequence that is to hold for skewed amounts wants more.
    large = sample_size(msgspec.structs.replace(PLAN, min_effect=0.5), 0.5)
    assert large.watched > 2 * (large.a + large.b)


def asked(**fields: Any) -> AbPlan:
    whole = {
        "deployment": "shop",
        "a": "1.0.0",
        "b": "1.1.0",
        "metric": pb.AB_METRIC_AMOUNT,
        "min_effect": 0.2,
        "sd": 1,
    }
    return plan_of(pb.CreateAbTestRequest(**{**whole, **fields}))


def test_amounts_are_tested_by_a_confidence_sequence_where_no_method_is_named() -> None:
    assert asked().method is AbMethod.CONFIDENCE_SEQUENCE
    assert asked(metric=pb.AB_METRIC_ERROR).method is AbMethod.MIXTURE_SPRT
    assert (asked().lowest, asked(lowest=0.0).lowest) == (None, 0.0)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"sd": 0}, "sd", "is needed for the amount"),
        ({"sd": INF}, "sd", "is inf; a finite number is needed"),
        ({"min_effect": NAN}, "min_effect", "is nan; a finite number"),
        ({"baseline": -INF}, "baseline", "is -inf; a finite number"),
        ({"method": pb.AB_METHOD_EXACT, "lowest": NAN, "highest": 1}, "lowest", "is nan"),
        ({"method": pb.AB_METHOD_EXACT}, "lowest", "an exact test of the amount must know the range"),
        ({"method": pb.AB_METHOD_EXACT, "lowest": 0}, "highest", "must know the range"),
        ({"method": pb.AB_METHOD_EXACT, "lowest": 2, "highest": 2}, "highest", "is 2; it must lie above lowest, 2"),
        ({"lowest": 0, "highest": 2}, "lowest", "is for amounts that the method exact tests"),
        ({"method": pb.AB_METHOD_MIXTURE_SPRT}, "method", "keeps no level where figures are as skewed as the amount"),
        (
            {"metric": pb.AB_METRIC_ABSOLUTE_ERROR, "higher_is_better": True},
            "higher_is_better",
            "less of the absolute_e",
        ),
        ({"metric": pb.AB_METRIC_OUTCOME, "baseline": 12.5}, "baseline", r"between 0 and 1 and is 12\.5; for amounts"),
        ({"metric": pb.AB_METRIC_OUTCOME, "baseline": 0.5, "highest": 9}, "highest", "is for amounts"),
    ],
)
def test_a_plan_of_amounts_that_cannot_be_is_refused_by_its_field(
    fields: dict[str, Any], field: str, text: str
) -> None:
    with pytest.raises(Invalid, match=text) as refused:
        checked(asked(**fields))
    assert [v.field for v in refused.value.violations] == [field]


@pytest.mark.parametrize(("given", "field"), [({"sd": 2}, "sd"), ({"sd": 0, "baseline": 9}, "baseline")])
def test_what_is_to_be_measured_is_not_given_too(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match="is given, and measure_s says that it is measured; leave one") as refused:
        check_to_be_measured(asked(measure_s=60.0, **given))
    assert [v.field for v in refused.value.violations] == [field]


def shop(store: WindowStore, rows: int = 400) -> None:
    """Every second one is answered by a; amounts of a are 10 and 14 by turns, its labels 0 and 1; those of b 99."""
    ids, seconds = [f"p{n}" for n in range(rows)], [float(n) for n in range(rows)]
    versions = ["1.0.0" if n % 2 == 0 else "1.1.0" for n in range(rows)]
    amounts = [99.0 if n % 2 else 10.0 + 4 * (n // 2 % 2) for n in range(rows)]
    labels = [float(n // 2 % 2) for n in range(rows)]
    asked, told = predictions(ids, seconds, versions=versions, watermark=rows), seconds
    known = outcomes(ids, labels, told, amounts=amounts, watermark=rows + 50)
    for batch in (asked, known):
        batch.deployment = "shop"
        store.add([stored(batch)], HERE)


def test_baseline_and_standard_deviation_are_measured_of_version_a_where_outcomes_are_due(store: WindowStore) -> None:
    shop(store)
    plan = msgspec.structs.replace(PLAN, sd=0.0, measure_s=300.0, allowed_lateness_s=100.0)
    found = measure(store, plan, "acme")
    # Outcomes are known up to 450 s, and had 100 s: the window ends at 350 and begins at 50.
    assert (found.since.timestamp() * 1e6, found.until.timestamp() * 1e6) == (us(50), us(350))
    assert (found.events, found.mean) == (150, 12.0)
    assert found.sd == pytest.approx(2.0, rel=0.01)
    share = measure(store, msgspec.structs.replace(plan, metric=AbMetric.OUTCOME), "acme")
    assert (share.events, share.mean) == (150, 0.5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"measure_s": 60.0}, r"found 30 predictions of 1\.0\.0 with a known amount from .* 100 are needed"),
        ({"deployment": "nobody"}, "found 0 predictions"),
        ({"a": "1.1.0"}, r"found 150 predictions of 1\.1\.0 with a known amount, which differ by 0: give"),
    ],
)
def test_what_was_too_little_to_be_measured_is_said(store: WindowStore, change: dict[str, Any], text: str) -> None:
    shop(store)
    plan = msgspec.structs.replace(PLAN, sd=0.0, measure_s=300.0, allowed_lateness_s=100.0)
    with pytest.raises(Invalid, match=text) as refused:
        measure(store, msgspec.structs.replace(plan, **change), "acme")
    assert [v.field for v in refused.value.violations] == ["measure_s"]
