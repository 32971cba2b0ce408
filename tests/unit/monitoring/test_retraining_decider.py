"""Retrainings: each step follows the one before, happens once, and the two verdicts are as they are written down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, scenario
from modelog_monitoring.retraining.commands import (
    ConcludePromotion,
    FailRetraining,
    RecordCanary,
    RecordChallenger,
    RecordEvaluation,
    RefuseChallenger,
    StartCanary,
    StartRetraining,
)
from modelog_monitoring.retraining.decide import RETRAINING
from modelog_monitoring.retraining.events import (
    CanaryEvaluated,
    CanaryStarted,
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
from modelog_monitoring.retraining.verdict import on_canary_rows, on_fresh_rows

END = datetime(2013, 5, 1, tzinfo=UTC)
START = StartRetraining(
    "r", "retrain", "flights", "w", "2013-04", END, "flight-delay", "flights", "1.0.0", "job",
    TrainingSet("flights", (1, 2)), 10_000, 10.0, 1_000, 3600.0,
)  # fmt: skip
STARTED = RetrainingStarted(
    "r", "retrain", "flights", "w", "2013-04", END, "flight-delay", "flights", "1.0.0", "job",
    TrainingSet("flights", (1, 2)), 10_000, 10.0, 1_000, 3600.0, NOW,
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
JUDGED = CanaryEvaluated("r", BETTER, True, on_canary_rows(BETTER).reason, NOW)
PROMOTED = ChallengerPromoted("r", "flight-delay", "1.1.0", "1.0.0", NOW)
WAY: list[Any] = [STARTED, TRAINED, EVALUATED, CANARY, JUDGED, PROMOTED]
STEPS: list[Any] = [
    START, RecordChallenger("1.1.0"), RecordEvaluation(BETTER), StartCanary("bob"), RecordCanary(BETTER),
    ConcludePromotion(),
]  # fmt: skip


@pytest.mark.parametrize("step", range(len(WAY)), ids=[type(s).__name__ for s in STEPS])
def test_each_step_follows_the_one_before(step: int) -> None:
    scenario(RETRAINING, given=WAY[:step], when=STEPS[step], then=[WAY[step]])


@pytest.mark.parametrize("done", range(1, len(WAY)))
def test_steps_that_are_done_are_not_done_again(done: int) -> None:
    for step in STEPS[:done]:
        scenario(RETRAINING, given=WAY[:done], when=step, then=[])


@pytest.mark.parametrize("step", range(2, len(STEPS)))
def test_no_step_can_be_left_out(step: int) -> None:
    scenario(RETRAINING, given=WAY[: step - 1], when=STEPS[step], refused="needs it to be", error=NotAllowed)


def test_nothing_can_be_told_to_a_retraining_that_never_started() -> None:
    scenario(RETRAINING, when=RecordChallenger("1.1.0"), refused="there is no such retraining", error=NotFound)


def test_a_challenger_that_gains_nothing_is_refused_with_the_reason() -> None:
    then = [ChallengerEvaluated("r", EQUAL, False, LOSES.reason, NOW), RetrainingRefused("r", LOSES.reason, NOW)]
    state = scenario(RETRAINING, given=WAY[:2], when=RecordEvaluation(EQUAL), then=then)
    assert (state.phase, state.active, state.ended_at) == (Phase.REFUSED, False, NOW)


def test_a_canary_that_lost_is_not_promoted() -> None:
    lost = CanaryEvaluated("r", EQUAL, False, "x", NOW)
    scenario(
        RETRAINING,
        given=[*WAY[:4], lost],
        when=ConcludePromotion(),
        refused="flight-delay 1.1.0 lost as a canary and cannot be promoted",
        error=NotAllowed,
    )


@pytest.mark.parametrize("so_far", range(1, len(WAY) - 1))
def test_it_can_be_refused_or_fail_at_any_time(so_far: int) -> None:
    given = WAY[:so_far]
    scenario(RETRAINING, given=given, when=RefuseChallenger("no"), then=[RetrainingRefused("r", "no", NOW)])
    scenario(RETRAINING, given=given, when=FailRetraining("oh"), then=[RetrainingFailed("r", "oh", NOW)])


@pytest.mark.parametrize("end", [PROMOTED, RetrainingRefused("r", "no", NOW), RetrainingFailed("r", "oh", NOW)])
def test_the_end_is_final(end: Any) -> None:
    for command in [*STEPS, RefuseChallenger("no"), FailRetraining("oh")]:
        scenario(RETRAINING, given=[*WAY[:5], end], when=command, then=[])


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
    ("auc", "wins", "says"),
    [
        (difference(0.05, 0.01), True, "better beyond chance on 1000 rows"),
        (difference(0.01, 0.015), True, "not worse by more than 0.01"),
        (difference(0.01, 0.025), False, "may be worse by more than 0.01"),
        (difference(-0.001, 0.002), False, "not better on 1000 rows"),
        (None, False, "fewer than two of a class"),
    ],
)
def test_the_verdict_on_the_canarys_rows(auc: Difference | None, wins: bool, says: str) -> None:
    verdict = on_canary_rows(compared(auc, None))
    assert verdict.wins is wins
    assert says in verdict.reason
