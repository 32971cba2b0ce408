"""The rules of retrainings: each step follows the one before, and happens once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import NotAllowed

from modelog_monitoring.retraining.commands import (
    ConcludePromotion,
    FailRetraining,
    RecordCanaryLook,
    RecordChallenger,
    RecordEvaluation,
    RefuseChallenger,
    RetrainingCommand,
    StartCanary,
    StartRetraining,
)
from modelog_monitoring.retraining.events import (
    CanaryDecided,
    CanaryFigures,
    CanaryLooked,
    CanaryStarted,
    CanaryVerdict,
    ChallengerEvaluated,
    ChallengerPromoted,
    ChallengerTrained,
    RetrainingEvent,
    RetrainingFailed,
    RetrainingRefused,
    RetrainingStarted,
)
from modelog_monitoring.retraining.state import Phase, Retraining, evolve
from modelog_monitoring.retraining.verdict import canary_reason, on_canary, on_fresh_rows

_ORDER = list(Phase)


def decide(retraining: Retraining, command: RetrainingCommand, ctx: Context) -> Sequence[RetrainingEvent]:
    """What follows from a command. A step that is done already gives nothing; one that comes too early is refused."""
    if isinstance(command, StartRetraining):
        return () if retraining.started is not None else [_started(command, ctx)]
    started = retraining.terms
    if retraining.phase.ended or not _is_due(retraining.phase, command):
        return ()
    rid = started.retraining_id
    match command:
        case RecordChallenger(challenger):
            return [ChallengerTrained(rid, started.job_id, challenger, ctx.now)]
        case RecordEvaluation(comparison):
            verdict = on_fresh_rows(comparison)
            evaluated = ChallengerEvaluated(rid, comparison, verdict.wins, verdict.reason, ctx.now)
            if verdict.wins:
                return [evaluated]
            return [evaluated, RetrainingRefused(rid, verdict.reason, ctx.now)]
        case StartCanary(reviewer):
            return [
                CanaryStarted(rid, started.deployment, retraining.challenger, started.canary_percent, reviewer, ctx.now)
            ]
        case RecordCanaryLook(number, until, figures):
            return _looked(retraining, number, until, figures, ctx)
        case ConcludePromotion():
            return [_promoted(retraining, ctx)]
        case RefuseChallenger(reason):
            return [RetrainingRefused(rid, reason, ctx.now)]
        case FailRetraining(reason):
            return [RetrainingFailed(rid, reason, ctx.now)]
        case _:
            assert_never(command)


def _is_due(phase: Phase, command: RetrainingCommand) -> bool:
    """False when the step is done already; raises NotAllowed when the steps before it are not."""
    due = _DUE.get(type(command))
    if due is None or phase is due:
        return True
    if _ORDER.index(phase) > _ORDER.index(due):
        return False
    raise NotAllowed(f"the retraining is {phase.replace('_', ' ')}; {type(command).__name__} needs it to be {due}")


_DUE: dict[type[object], Phase] = {
    RecordChallenger: Phase.TRAINING,
    RecordEvaluation: Phase.EVALUATING,
    StartCanary: Phase.AWAITING_APPROVAL,
    RecordCanaryLook: Phase.CANARY,
    ConcludePromotion: Phase.CONCLUDING,
}


def _started(command: StartRetraining, ctx: Context) -> RetrainingStarted:
    return RetrainingStarted(
        retraining_id=command.retraining_id,
        policy=command.policy,
        monitor=command.monitor,
        window_id=command.window_id,
        window=command.window,
        window_end=command.window_end,
        model=command.model,
        deployment=command.deployment,
        champion=command.champion,
        job_id=command.job_id,
        training_set=command.training_set,
        evaluation_rows=command.evaluation_rows,
        canary_percent=command.canary_percent,
        canary_rows=command.canary_rows,
        allowed_lateness_s=command.allowed_lateness_s,
        at=ctx.now,
        canary=command.canary,
    )


def _looked(
    retraining: Retraining, number: int, until: datetime, figures: CanaryFigures, ctx: Context
) -> Sequence[RetrainingEvent]:
    """A look, and what follows from it; one that was recorded already gives nothing."""
    last = 0 if retraining.looked is None else retraining.looked.number
    if number <= last:
        return ()
    if number != last + 1:
        raise NotAllowed(f"look {number} cannot follow look {last} at the canary of {retraining.challenger}")
    rid, terms = retraining.terms.retraining_id, retraining.canary_test
    verdict = on_canary(figures, terms, retraining.terms.canary_rows)
    looked = CanaryLooked(rid, number, until, figures, verdict, ctx.now)
    if verdict is CanaryVerdict.UNDECIDED:
        return [looked]
    return [looked, CanaryDecided(rid, verdict.wins, canary_reason(verdict, figures, terms), ctx.now)]


def _promoted(retraining: Retraining, ctx: Context) -> ChallengerPromoted:
    started = retraining.terms
    if not retraining.canary_won:
        raise NotAllowed(f"{started.model} {retraining.challenger} lost as a canary and cannot be promoted")
    return ChallengerPromoted(started.retraining_id, started.model, retraining.challenger, started.champion, ctx.now)


RETRAINING: Decider[Retraining, RetrainingCommand, RetrainingEvent] = Decider(
    "monitoring.retraining", Retraining, decide, evolve
)
