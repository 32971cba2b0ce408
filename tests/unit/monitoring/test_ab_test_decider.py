"""A/B tests: what starts and ends one, and when the evidence is enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from modelog_common.domain.errors import AlreadyExists, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.testing.scenario import NOW, scenario
from modelog_monitoring.abtest.commands import (
    ConcludeAbTest,
    CreateAbTest,
    RecordLook,
    Split,
    StartAbTest,
    StopAbTest,
)
from modelog_monitoring.abtest.decide import AB_TEST, NOTHING, verdict_of
from modelog_monitoring.abtest.events import (
    AbMethod,
    AbMetric,
    AbPlan,
    AbTestCreated,
    AbTestDecided,
    AbTestLooked,
    AbTestStarted,
    AbTestStopped,
    ArmSum,
    Figures,
    Measured,
    SampleSize,
    SprtState,
    Verdict,
)

PLAN = AbPlan(
    "flights", "1.0.0", "1.1.0", AbMetric.ERROR, 0.5, False, 0.02, 0.05, 0.8, 0.2, 0.4, AbMethod.MIXTURE_SPRT, 60.0
)
NEEDED = SampleSize(100, 100, 400)
ID = derived_id("acme", "newer")
CREATE = CreateAbTest("newer", "flight-delay", PLAN, 0.5, NEEDED)
CREATED = AbTestCreated(ID, "newer", "flight-delay", PLAN, 0.5, NEEDED, "alice", NOW)
SPLIT = Split(0.2, SampleSize(200, 50, 500), NOW, 17)
START = StartAbTest(SPLIT, NOW)
STARTED = AbTestStarted(ID, "newer", 0.2, SPLIT.needed, NOW, 17, NOW, "alice", NOW)
STATE = SprtState(ArmSum(300, 0.2, 48.0), ArmSum(70, 0.19, 10.8), 0.8, -0.1, 0.08)
UNDECIDED = Figures(300, 70, 0.2, 0.19, -0.01, -0.1, 0.08, 0.8)
WON = Figures(3000, 700, 0.2, 0.12, -0.08, -0.11, -0.05, 0.001)
LATER = NOW + timedelta(hours=1)


def looked(number: int, until: Any, figures: Figures) -> AbTestLooked:
    return AbTestLooked(ID, "newer", number, until, figures, STATE, NOW)


def test_a_test_is_planned_once() -> None:
    scenario(AB_TEST, when=CREATE, then=[CREATED])
    scenario(AB_TEST, given=[CREATED], when=CREATE, by="bob", then=[])
    other = CreateAbTest("newer", "flight-delay", msgspec.structs.replace(PLAN, alpha=0.1), 0.5, NEEDED)
    scenario(
        AB_TEST, given=[CREATED], when=other, refused="exists already with another plan; alice", error=AlreadyExists
    )


def test_what_is_measured_is_another_number_each_time_and_the_same_plan() -> None:
    plan = msgspec.structs.replace(PLAN, measure_s=3600.0)
    measured = Measured(NOW, LATER, 500, 0.2, 0.4)
    created = msgspec.structs.replace(CREATED, plan=plan, measured=measured)
    scenario(AB_TEST, when=replace(CREATE, plan=plan, measured=measured), then=[created])
    again = replace(
        CREATE, plan=msgspec.structs.replace(plan, baseline=0.21), measured=Measured(NOW, LATER, 9, 0.21, 0.4)
    )
    scenario(AB_TEST, given=[created], when=again, then=[])
    longer = replace(CREATE, plan=msgspec.structs.replace(plan, measure_s=7200.0))
    scenario(AB_TEST, given=[created], when=longer, refused="with another plan", error=AlreadyExists)


def test_a_test_whose_time_is_over_ends_with_what_it_has() -> None:
    created = msgspec.structs.replace(CREATED, plan=msgspec.structs.replace(PLAN, longest_s=3600.0))
    started = msgspec.structs.replace(STARTED, ends_by=LATER)
    scenario(AB_TEST, given=[created], when=START, then=[started])
    over = msgspec.structs.replace(started, ends_by=NOW)
    first = looked(1, NOW, UNDECIDED)
    reason = f"it had until {NOW:%Y-%m-%d %H:%M:%S} UTC, and that was not enough for a decision: "
    seen = "error rate 0.2 of 300 predictions against 0.19 of 70, difference -0.01 (-0.1 to +0.08), always-valid p 0.8"
    ended = AbTestDecided(ID, "newer", Verdict.INCONCLUSIVE, UNDECIDED, reason + seen, NOW)
    scenario(AB_TEST, given=[created, over, first], when=ConcludeAbTest(), then=[ended])
    none = "no prediction with an outcome was counted"
    empty = AbTestDecided(ID, "newer", Verdict.INCONCLUSIVE, NOTHING, reason + none, NOW)
    scenario(AB_TEST, given=[created, over], when=ConcludeAbTest(), then=[empty])
    # Not before its time, not without one, and only once.
    scenario(AB_TEST, given=[created, started, first], when=ConcludeAbTest(), then=[])
    scenario(AB_TEST, given=[CREATED, STARTED], when=ConcludeAbTest(), then=[])
    scenario(AB_TEST, given=[created, over, ended], when=ConcludeAbTest(), then=[])
    scenario(AB_TEST, given=[created, over, ended], when=StopAbTest("late"), refused="is decided", error=NotAllowed)


def test_a_test_starts_once_and_with_traffic_for_both() -> None:
    scenario(AB_TEST, given=[CREATED], when=START, then=[STARTED])
    scenario(AB_TEST, given=[CREATED, STARTED], when=START, then=[])
    scenario(AB_TEST, when=START, refused="there is no such A/B test", error=NotFound)
    scenario(
        AB_TEST,
        given=[CREATED],
        when=StartAbTest(None, NOW),
        refused="modelog deploy traffic flights 1.0.0=50 1.1.0=50",
        error=NotAllowed,
    )
    stopped = AbTestStopped(ID, "newer", None, "", "bob", NOW)
    scenario(
        AB_TEST, given=[CREATED, stopped], when=START, refused="is stopped; outcomes that were seen", error=NotAllowed
    )


def test_looks_count_outcomes_once_and_decide_when_the_evidence_is_enough() -> None:
    running = [CREATED, STARTED]
    first = looked(1, NOW, UNDECIDED)
    scenario(AB_TEST, given=running, when=RecordLook(NOW, UNDECIDED, STATE), then=[first])
    scenario(AB_TEST, given=[*running, first], when=RecordLook(NOW, WON, STATE), then=[])
    reason = (
        "1.1.0 is better than 1.0.0: error rate 0.2 of 3,000 predictions against 0.12 of 700, difference -0.08 "
        "(-0.11 to -0.05), always-valid p 0.001"
    )
    decided = AbTestDecided(ID, "newer", Verdict.B_BETTER, WON, reason, NOW)
    scenario(
        AB_TEST,
        given=[*running, first],
        when=RecordLook(LATER, WON, STATE),
        then=[looked(2, LATER, WON), decided],
    )
    scenario(AB_TEST, given=[*running, decided], when=RecordLook(LATER, WON, STATE), then=[])
    scenario(AB_TEST, given=[CREATED], when=RecordLook(LATER, WON, STATE), then=[])


def test_a_stop_keeps_the_evidence_and_a_decision_stays() -> None:
    first = looked(1, NOW, UNDECIDED)
    stopped = AbTestStopped(ID, "newer", UNDECIDED, "the model has a defect", "bob", NOW)
    given = [CREATED, STARTED, first]
    scenario(AB_TEST, given=given, when=StopAbTest("the model has a defect"), by="bob", then=[stopped])
    scenario(AB_TEST, given=[*given, stopped], when=StopAbTest("again"), then=[])
    decided = AbTestDecided(ID, "newer", Verdict.B_BETTER, WON, "", NOW)
    scenario(AB_TEST, given=[*given, decided], when=StopAbTest("late"), refused="is decided", error=NotAllowed)


@pytest.mark.parametrize(
    ("estimate", "low", "high", "p", "higher", "verdict"),
    [
        (-0.08, -0.11, -0.05, 0.01, False, Verdict.B_BETTER),
        (0.08, 0.05, 0.11, 0.01, False, Verdict.A_BETTER),
        (0.08, 0.05, 0.11, 0.01, True, Verdict.B_BETTER),
        (-0.08, -0.11, -0.05, 0.01, True, Verdict.A_BETTER),
        (0.001, -0.012, 0.014, 1.0, False, Verdict.NO_DIFFERENCE),
        (0.001, -0.025, 0.014, 1.0, False, None),
        (0.001, None, None, 1.0, False, None),
        (0.001, 0.01, -0.01, 0.3, False, None),
    ],
)
def test_what_the_evidence_says(
    estimate: float, low: float | None, high: float | None, p: float, higher: bool, verdict: Verdict | None
) -> None:
    plan = msgspec.structs.replace(PLAN, metric=AbMetric.OUTCOME, higher_is_better=higher)
    assert verdict_of(plan, Figures(1000, 1000, 0.2, 0.2 + estimate, estimate, low, high, p)) is verdict
