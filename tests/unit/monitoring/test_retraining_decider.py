"""Retrainings: each step follows the one before, happens once, and the two verdicts are as they are written down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, scenario
from modelog_monitoring.policy.events import CanaryTest
from modelog_monitoring.retraining.commands import (
    ConcludePromotion,
    FailRetraining,
    RecordCanaryLook,
    RecordChallenger,
    RecordEvaluation,
    RefuseChallenger,
    StartCanary,
    StartRetraining,
)
from modelog_monitoring.retraining.decide import RETRAINING
from modelog_monitoring.retraining.events import (
    CanaryDecided,
    CanaryEvaluated,
    CanaryFigures,
    CanaryLooked,
    CanaryStarted,
    CanaryVerdict,
    ChallengerEvaluated,
    ChallengerPromoted,
    ChallengerTrained,
    Comparison,
    Difference,
    RetrainingFailed,
    RetrainingRefused,
    RetrainingStarted,
    TrainingSet,
)
from modelog_monitoring.retraining.state import Phase
from modelog_monitoring.retraining.verdict import canary_reason, on_canary, on_fresh_rows

END = datetime(2013, 5, 1, tzinfo=UTC)
START = StartRetraining(
    "r", "retrain", "flights", "w", "2013-04", END, "flight-delay", "flights", "1.0.0", "job",
    TrainingSet("flights", (1, 2)), 10_000, 10.0, 1_000, 3600.0,
)  # fmt: skip
STARTED = RetrainingStarted(
    "r", "retrain", "flights", "w", "2013-04", END, "flight-delay", "flights", "1.0.0", "job",
    TrainingSet("flights", (1, 2)), 10_000, 10.0, 1_000, 3600.0, NOW, CanaryTest(),
)  # fmt: skip


def difference(value: float, margin: float) -> Difference:
    return Difference(0.7, 0.7 + value, value, value - margin, value + margin, 0.01)


def compared(auc: Difference | None, log_loss: Difference | None, rows: int = 1000) -> Comparison:
    return Comparison(rows, auc, log_loss, END, END)


BETTER = compared(difference(0.05, 0.01), difference(-0.02, 0.01))
EQUAL = compared(difference(0.001, 0.01), difference(0.0, 0.01))
TRAINED = ChallengerTrained("r", "job", "1.1.0", NOW)
WINS, LOSES = on_fresh_rows(BETTER), on_fresh_rows(EQUAL)
EVALUATED = ChallengerEvaluated("r", BETTER, True, WINS.reason, NOW)
CANARY = CanaryStarted("r", "flights", "1.1.0", 10.0, "bob", NOW)


def seen(rows: int, low: float, high: float) -> CanaryFigures:
    return CanaryFigures(rows, 0.15, 0.15 - (low + high) / 2, low, high, (0.0, 0.0, 0.0, 0.0))


TEST = CanaryTest()
EARLY, GOOD = seen(50, -0.02, 0.03), seen(100, -0.004, 0.02)
LOOK, LAST_LOOK = RecordCanaryLook(1, END, EARLY), RecordCanaryLook(2, END, GOOD)
LOOKED = CanaryLooked("r", 1, END, EARLY, CanaryVerdict.UNDECIDED, NOW)
LOOKED_LAST = CanaryLooked("r", 2, END, GOOD, CanaryVerdict.NOT_WORSE, NOW)
DECIDED = CanaryDecided("r", True, canary_reason(CanaryVerdict.NOT_WORSE, GOOD, TEST), NOW)
PROMOTED = ChallengerPromoted("r", "flight-delay", "1.1.0", "1.0.0", NOW)
WAY: list[list[Any]] = [[STARTED], [TRAINED], [EVALUATED], [CANARY], [LOOKED], [LOOKED_LAST, DECIDED], [PROMOTED]]
STEPS: list[Any] = [
    START, RecordChallenger("1.1.0"), RecordEvaluation(BETTER), StartCanary("bob"), LOOK, LAST_LOOK,
    ConcludePromotion(),
]  # fmt: skip


def up_to(step: int) -> list[Any]:
    return [event for events in WAY[:step] for event in events]


@pytest.mark.parametrize("step", range(len(WAY)), ids=[f"{n} {type(s).__name__}" for n, s in enumerate(STEPS)])
def test_each_step_follows_the_one_before(step: int) -> None:
    scenario(RETRAINING, given=up_to(step), when=STEPS[step], then=WAY[step])


@pytest.mark.parametrize("done", range(1, len(WAY)))
def test_steps_that_are_done_are_not_done_again(done: int) -> None:
    for step in STEPS[:done]:
        scenario(RETRAINING, given=up_to(done), when=step, then=[])


@pytest.mark.parametrize("step", [2, 3, 4, 6])
def test_no_step_can_be_left_out(step: int) -> None:
    scenario(RETRAINING, given=up_to(step - 1), when=STEPS[step], refused="needs it to be", error=NotAllowed)


def test_no_look_can_be_left_out() -> None:
    scenario(RETRAINING, given=up_to(4), when=LAST_LOOK, refused="look 2 cannot follow look 0", error=NotAllowed)


def test_nothing_can_be_told_to_a_retraining_that_never_started() -> None:
    scenario(RETRAINING, when=RecordChallenger("1.1.0"), refused="there is no such retraining", error=NotFound)


def test_a_challenger_that_gains_nothing_is_refused_with_the_reason() -> None:
    then = [ChallengerEvaluated("r", EQUAL, False, LOSES.reason, NOW), RetrainingRefused("r", LOSES.reason, NOW)]
    state = scenario(RETRAINING, given=up_to(2), when=RecordEvaluation(EQUAL), then=then)
    assert (state.phase, state.active, state.ended_at) == (Phase.REFUSED, False, NOW)


def test_a_canary_that_lost_is_not_promoted() -> None:
    lost = CanaryDecided("r", False, "x", NOW)
    scenario(
        RETRAINING,
        given=[*up_to(5), lost],
        when=ConcludePromotion(),
        refused="flight-delay 1.1.0 lost as a canary and cannot be promoted",
        error=NotAllowed,
    )


@pytest.mark.parametrize("so_far", range(1, len(WAY) - 1))
def test_it_can_be_refused_or_fail_at_any_time(so_far: int) -> None:
    given = up_to(so_far)
    scenario(RETRAINING, given=given, when=RefuseChallenger("no"), then=[RetrainingRefused("r", "no", NOW)])
    scenario(RETRAINING, given=given, when=FailRetraining("oh"), then=[RetrainingFailed("r", "oh", NOW)])


@pytest.mark.parametrize("end", [PROMOTED, RetrainingRefused("r", "no", NOW), RetrainingFailed("r", "oh", NOW)])
def test_the_end_is_final(end: Any) -> None:
    for command in [*STEPS, RefuseChallenger("no"), FailRetraining("oh")]:
        scenario(RETRAINING, given=[*up_to(6), end], when=command, then=[])


@pytest.mark.parametrize(
    ("comparison", "wins", "says"),
    [
        (BETTER, True, "better on 1000 fresh rows: AUC 0.750 against 0.700, difference +0.050"),
        (EQUAL, False, "no gain beyond chance on 1000 fresh rows"),
        (compared(difference(0.02, 0.02), difference(-0.1, 0.01)), False, "no gain beyond chance"),
        (compared(difference(0.05, 0.01), difference(0.02, 0.01)), False, "its probabilities are worse"),
        (compared(difference(0.05, 0.01), difference(0.02, 0.03)), True, "better on"),
        (compared(None, None, 3), False, "the 3 labelled rows hold fewer than two of a class"),
    ],
)
def test_the_verdict_on_fresh_rows(comparison: Comparison, wins: bool, says: str) -> None:
    verdict = on_fresh_rows(comparison)
    assert verdict.wins is wins
    assert says in verdict.reason


@pytest.mark.parametrize(
    ("figures", "verdict", "says"),
    [
        (seen(100, 0.001, 0.02), CanaryVerdict.BETTER, "better on 100 rows that it answered as a canary: Brier score"),
        (seen(100, -0.004, 0.02), CanaryVerdict.NOT_WORSE, "not worse by 0.005 or more on 100 rows"),
        (seen(100, -0.005, 0.02), CanaryVerdict.UNDECIDED, "nothing is decided yet"),
        (seen(100, -0.02, -0.001), CanaryVerdict.WORSE, "worse on 100 rows"),
        (seen(100, -0.004, -0.001), CanaryVerdict.WORSE, "worse on 100 rows"),
        (seen(999, -0.02, 0.02), CanaryVerdict.UNDECIDED, "nothing is decided yet"),
        (seen(1_000, -0.02, 0.02), CanaryVerdict.NOT_PROVED, "neither better nor less than 0.005 worse is proved on"),
        (seen(1_000, 0.001, 0.02), CanaryVerdict.BETTER, "0.1395 against 0.1500, gain +0.0105 (95 % interval at any"),
    ],
)
def test_the_verdict_on_a_canary(figures: CanaryFigures, verdict: CanaryVerdict, says: str) -> None:
    assert on_canary(figures, TEST, 1_000) is verdict
    assert says in canary_reason(verdict, figures, TEST)


def test_without_a_margin_only_a_better_one_wins() -> None:
    strict = CanaryTest(0.01, 0.0)
    assert on_canary(seen(100, -0.001, 0.02), strict, 1_000) is CanaryVerdict.UNDECIDED
    assert on_canary(seen(100, 0.001, 0.02), strict, 1_000) is CanaryVerdict.BETTER
    figures = seen(1_000, -0.001, 0.02)
    assert on_canary(figures, strict, 1_000) is CanaryVerdict.NOT_PROVED
    assert canary_reason(CanaryVerdict.NOT_PROVED, figures, strict).startswith("no gain is proved on 1000 rows")
    assert "(99 % interval at any look -0.0010 to +0.0200)" in canary_reason(CanaryVerdict.BETTER, figures, strict)


# A log of before canaries were looked at: what was agreed says nothing of a level or a margin.
OLD_START = RetrainingStarted(
    "r", "retrain", "flights", "w", "2013-04", END, "flight-delay", "flights", "1.0.0", "job",
    TrainingSet("flights", (1, 2)), 10_000, 10.0, 1_000, 3600.0, NOW,
)  # fmt: skip
OLD_WAY: list[Any] = [OLD_START, TRAINED, EVALUATED, CANARY]


def test_an_old_canary_under_way_is_looked_at_from_now_on() -> None:
    state = scenario(RETRAINING, given=OLD_WAY, when=LOOK, then=[LOOKED])
    assert (state.phase, state.canary_test) == (Phase.CANARY, CanaryTest(0.05, 0.005))
    scenario(RETRAINING, given=[*OLD_WAY, LOOKED], when=LAST_LOOK, then=[LOOKED_LAST, DECIDED])


@pytest.mark.parametrize("wins", [True, False])
def test_an_old_canary_that_was_judged_ends_as_it_was_judged(wins: bool) -> None:
    judged = CanaryEvaluated("r", BETTER if wins else EQUAL, wins, "as it was", NOW)
    state = scenario(RETRAINING, given=[*OLD_WAY, judged], when=LOOK, then=[])
    assert (state.phase, state.reason, state.looked) == (Phase.CONCLUDING, "as it was", None)
    if wins:
        scenario(RETRAINING, given=[*OLD_WAY, judged], when=ConcludePromotion(), then=[PROMOTED])
    else:
        refused = RetrainingRefused("r", "as it was", NOW)
        scenario(RETRAINING, given=[*OLD_WAY, judged], when=RefuseChallenger("as it was"), then=[refused])
