"""What follows from starting, watching, stopping and rolling back a release, and what is refused in which words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_serving.release.commands import RecordEvidence, RollBackRelease, StartRelease, StopRelease
from modelog_serving.release.decide import RELEASES
from modelog_serving.release.events import (
    Compared,
    Counts,
    Evidence,
    Mirrored,
    Outcome,
    ReleaseAdvanced,
    ReleaseEvent,
    ReleaseLooked,
    ReleasePromoted,
    ReleaseRolledBack,
    ReleaseStarted,
    ReleaseStopped,
    Served,
)
from modelog_serving.release.plan import Criterion, OutcomePlan, Pattern, Plan, checked
from modelog_serving.release.state import Phase, Release

OLD, NEW = Served("1.0.0", "a" * 64, "xgboost"), Served("1.1.0", "b" * 64, "xgboost")
CANARY = Plan(Pattern.CANARY, (10.0, 50.0, 100.0), error_margin=0.01)
BRIER = OutcomePlan("squared_error", 0.01, sd=0.2)
THREE = Plan(Pattern.CANARY, (10.0, 50.0, 100.0), error_margin=0.01, latency_margin=0.02, outcome=BRIER)


def start(plan: Plan = CANARY) -> StartRelease:
    return StartRelease("d1", "flights", "flight-delay", OLD, NEW, plan)


def started(plan: Plan = CANARY, number: int = 1) -> ReleaseStarted:
    return ReleaseStarted("d1", "flights", number, "flight-delay", OLD, NEW, checked(plan), Counts(), "", "alice", NOW)


def rate(figure: str = "errors", harm_p: float = 1.0, safety_p: float = 1.0) -> Compared:
    return Compared(figure, 0.01, 0.001, 0.002, 0.001, -0.01, 0.02, harm_p, safety_p)


def evidence(step: int = 0, *found: Compared, candidate: int = 100, **more: Any) -> Evidence:
    return Evidence(step, Counts(1_000), Counts(candidate), found or (rate(),), **more)


def follow(given: list[ReleaseEvent], command: Any, later_s: float = 0.0) -> list[ReleaseEvent]:
    """What a decider answers to a command, so many seconds after the start."""
    release = Release()
    for each in given:
        release = RELEASES.evolve(release, each)
    return list(RELEASES.decide(release, command, context(now=NOW + timedelta(seconds=later_s))))


def test_a_release_starts_and_only_one_at_a_time() -> None:
    release = scenario(RELEASES, when=start(), then=[started()])
    assert (release.phase, release.percent) == (Phase.RUNNING, 10.0)
    assert release.split() == {"1.0.0": 90.0, "1.1.0": 10.0}
    scenario(
        RELEASES, given=[started()], when=start(), refused="1.1.0 is being released to flights (release 1)",
        error=NotAllowed,
    )  # fmt: skip
    same = StartRelease("d1", "flights", "flight-delay", OLD, OLD, CANARY)
    scenario(RELEASES, when=same, refused="flights is served by 1.0.0 already", error=NotAllowed)


def test_a_canary_advances_by_proof_and_is_promoted_by_the_last_one() -> None:
    (advanced,) = follow([started()], RecordEvidence(1, evidence(0, rate(safety_p=0.05))))
    assert isinstance(advanced, ReleaseAdvanced)
    assert (advanced.step, advanced.percent) == (1, 50.0)
    assert "failed requests: 0.200% against 0.100%, difference +0.100 points" in advanced.reason
    (promoted,) = follow([started(), advanced], RecordEvidence(1, evidence(1, rate(safety_p=0.01))))
    assert isinstance(promoted, ReleasePromoted)
    release = scenario(RELEASES, given=[started(), advanced, promoted], when=start(), then=[started(number=2)])
    assert release.number == 2


def test_without_proof_nothing_moves_and_news_is_kept() -> None:
    (looked,) = follow([started()], RecordEvidence(1, evidence(0, rate(safety_p=0.06))))
    assert isinstance(looked, ReleaseLooked)
    assert follow([started(), looked], RecordEvidence(1, evidence(0, candidate=150))) == []
    assert len(follow([started(), looked], RecordEvidence(1, evidence(0, candidate=400)))) == 1
    assert follow([started()], RecordEvidence(1, evidence(1, rate(safety_p=0.0)))) == [], "of another step"
    assert follow([started()], RecordEvidence(2, evidence(0, rate(safety_p=0.0)))) == [], "of another release"


def test_proven_harm_rolls_back_at_its_part_of_alpha() -> None:
    level = 0.05 / (3 * 2)
    for found in (rate(harm_p=level), rate("latency", harm_p=level)):
        (back,) = follow([started(THREE)], RecordEvidence(1, evidence(0, rate(), found)))
        assert isinstance(back, ReleaseRolledBack)
        assert back.reason.startswith("more failed requests" if found.figure == "errors" else "more slow answers")
    assert not isinstance(
        follow([started(THREE)], RecordEvidence(1, evidence(0, rate(harm_p=level * 1.01))))[0], ReleaseRolledBack
    )
    worse = Outcome("t", 500, 500, 0.1, 0.2, 0.1, 0.05, 0.15, level)
    (back,) = follow([started(THREE)], RecordEvidence(1, evidence(outcome=worse)))
    assert isinstance(back, ReleaseRolledBack)
    assert back.reason.startswith("worse outcomes: squared error 0.2 of 500 predictions against 0.1 of 500")
    assert Release(started(), Phase.ROLLED_BACK).split() == {"1.0.0": 100.0}


def test_all_criteria_must_be_proved_before_the_last_step() -> None:
    safe = (rate(safety_p=0.01), rate("latency", safety_p=0.01))
    begun = [started(THREE)]
    assert isinstance(follow(begun, RecordEvidence(1, evidence(0, safe[0], rate("latency"))))[0], ReleaseLooked)
    (advanced,) = follow(begun, RecordEvidence(1, evidence(0, *safe)))
    assert isinstance(advanced, ReleaseAdvanced), "labels are late: earlier steps do not wait for them"
    at_last = [*begun, advanced]
    unclear = Outcome("t", 500, 500, 0.2, 0.19, -0.01, -0.03, 0.01, 0.2)
    assert isinstance(follow(at_last, RecordEvidence(1, evidence(1, *safe, outcome=unclear)))[0], ReleaseLooked)
    better = Outcome("t", 500, 500, 0.2, 0.1, -0.1, -0.15, -0.05, 0.01)
    assert isinstance(follow(at_last, RecordEvidence(1, evidence(1, *safe, outcome=better)))[0], ReleasePromoted)
    ended = Outcome("t", 500, 500, 0.2, 0.2, 0.0, -0.005, 0.005, 1.0, "they differ by less than 0.01")
    (back,) = follow(at_last, RecordEvidence(1, evidence(1, *safe, outcome=ended)))
    assert isinstance(back, ReleaseRolledBack)
    assert "ended without the proof that was asked for: they differ by less than 0.01" in back.reason


@pytest.mark.parametrize("higher", [False, True])
def test_outcomes_may_be_asked_to_be_no_worse_only(higher: bool) -> None:
    no_worse = OutcomePlan("amount", 0.02, Criterion.NON_INFERIOR, sd=1.0, higher_is_better=higher)
    plan = Plan(Pattern.CANARY, (50.0, 100.0), outcome=no_worse)
    within = (-0.019, 0.3) if higher else (-0.3, 0.019)
    for (low, high), kind in (
        (within, ReleasePromoted),
        ((-0.03, 0.03), ReleaseLooked),
        ((0.01, -0.01), ReleaseLooked),
    ):
        found = Outcome("t", 500, 500, 0.2, 0.2, 0.0, low, high, 0.5)
        (event,) = follow([started(plan)], RecordEvidence(1, Evidence(0, Counts(9), Counts(99), outcome=found)))
        assert isinstance(event, kind), (low, high)


def test_undecided_at_the_end_of_its_time_is_rolled_back() -> None:
    (back,) = follow([started()], RecordEvidence(1, evidence()), later_s=86_400)
    assert isinstance(back, ReleaseRolledBack)
    assert back.reason.startswith(
        "undecided after 86400 s, the longest that it may take: 100 requests answered; failed"
    )


def test_steps_last_as_long_as_planned() -> None:
    plan = Plan(Pattern.ROLLING, (50.0, 100.0), error_margin=0.01, step_s=60, step_requests=100)
    few, many = RecordEvidence(1, evidence(candidate=99)), RecordEvidence(1, evidence(candidate=100))
    assert isinstance(follow([started(plan)], few, 60)[0], ReleaseLooked)
    assert isinstance(follow([started(plan)], many, 59)[0], ReleaseLooked)
    (advanced,) = follow([started(plan)], many, 60)
    assert isinstance(advanced, ReleaseAdvanced)
    assert advanced.percent == 100
    last = RecordEvidence(1, evidence(1, candidate=100))
    (event,) = follow([started(plan), advanced], last, 60)
    assert isinstance(event, ReleaseLooked), "the last step is watched for as long as the others"


def test_a_shadow_ends_without_traffic() -> None:
    plan = Plan(Pattern.SHADOW, step_requests=100)
    release = scenario(RELEASES, when=start(plan), then=[started(plan)])
    assert release.split() == {"1.0.0": 100.0}
    found = Evidence(0, Counts(100), Counts(100), mirrored=Mirrored(100, 98, 0, 3, 0.01, 0.4))
    (over,) = follow([started(plan)], RecordEvidence(1, found))
    assert isinstance(over, ReleaseStopped)
    assert over.reason == "the shadow is over: 98 of 100 answers alike, 0 failed, 3 not asked for"


def test_it_is_stopped_and_rolled_back_by_hand_once() -> None:
    stop, back = StopRelease(1, evidence(), "enough"), RollBackRelease(1, evidence(), "complaints")
    (stopped,) = follow([started()], stop)
    assert isinstance(stopped, ReleaseStopped)
    assert stopped.reason == "stopped by alice: enough"
    (rolled,) = follow([started()], back)
    assert isinstance(rolled, ReleaseRolledBack)
    assert rolled.reason == "rolled back by alice: complaints"
    for ended in (stopped, rolled):
        for command in (stop, back, RecordEvidence(1, evidence(0, rate(harm_p=0)))):
            assert follow([started(), ended], command) == []
    scenario(RELEASES, when=stop, refused="there is no such release", error=NotFound)


@pytest.mark.parametrize(
    ("plan", "field", "text"),
    [
        (Plan(Pattern.CANARY), "error_margin", "a canary must prove something"),
        (Plan(Pattern.CANARY, error_margin=0.0), "error_margin", "a margin lies between 0 and 1"),
        (Plan(Pattern.CANARY, error_margin=0.1, alpha=0.0), "alpha", "above 0 and be at most 0.5"),
        (Plan(Pattern.CANARY, error_margin=0.1, alpha=float("nan")), "alpha", "is nan"),
        (Plan(Pattern.CANARY, (100.0,), error_margin=0.1), "steps", "a canary needs a smaller share before"),
        (Plan(Pattern.CANARY, (10.0, 50.0), error_margin=0.1), "steps", "end at 50; the last one must be 100"),
        (Plan(Pattern.CANARY, (50.0, 10.0, 100.0), error_margin=0.1), "steps[1]", "shares rise"),
        (Plan(Pattern.CANARY, (0.0, 100.0), error_margin=0.1), "steps[0]", "from above 0 to 100"),
        (Plan(Pattern.CANARY, tuple(range(5, 101)), error_margin=0.1), "steps", "at most 20"),
        (Plan(Pattern.CANARY, error_margin=0.1, latency_limit_ms=9), "latency_margin", "is needed where"),
        (Plan(Pattern.CANARY, error_margin=0.1, longest_s=0), "longest_s", "must be above 0"),
        (Plan(Pattern.CANARY, error_margin=0.1, step_s=9, longest_s=20), "longest_s", "4 steps of 9 s take longer"),
        (Plan(Pattern.CANARY, outcome=OutcomePlan("error", 0)), "outcome.effect", "the smallest difference that"),
        (Plan(Pattern.ROLLING, outcome=BRIER, step_s=1), "outcome", "rolling releases wait for no labels"),
        (Plan(Pattern.ROLLING, error_margin=0.1), "step_s", "a rolling release has no other end"),
        (Plan(Pattern.BLUE_GREEN, (50.0, 100.0), step_s=1), "steps", "switches all of the traffic at once"),
        (Plan(Pattern.SHADOW, (50.0, 100.0), step_s=1), "steps", "its answers are never returned"),
        (Plan(Pattern.SHADOW, step_requests=-1), "step_requests", "must be 0 or more"),
    ],
)
def test_a_plan_without_sense_is_refused(plan: Plan, field: str, text: str) -> None:
    scenario(RELEASES, when=start(plan), refused=text, error=Invalid, field=f"plan.{field}")
