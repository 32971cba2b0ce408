"""A retraining as its events left it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_monitoring.policy.events import CanaryTest
from modelog_monitoring.retraining.events import (
    CanaryDecided,
    CanaryEvaluated,
    CanaryLooked,
    CanaryStarted,
    ChallengerEvaluated,
    ChallengerPromoted,
    ChallengerTrained,
    RetrainingEvent,
    RetrainingFailed,
    RetrainingRefused,
    RetrainingStarted,
)


class Phase(StrEnum):
    """Where a challenger is on its way."""

    TRAINING = "training"
    EVALUATING = "evaluating"
    AWAITING_APPROVAL = "awaiting_approval"
    CANARY = "canary"
    CONCLUDING = "concluding"
    PROMOTED = "promoted"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (Phase.PROMOTED, Phase.REFUSED, Phase.FAILED)


@dataclass(frozen=True)
class Retraining:
    """One challenger's way; before its first event it has no start.

    In phase CONCLUDING the canary is decided, and what follows from it is being done. `canary` is the one comparison of
    canaries that were not looked at before their end.
    """

    started: RetrainingStarted | None = None
    phase: Phase = Phase.TRAINING
    challenger: str = ""
    evaluation: ChallengerEvaluated | None = None
    looked: CanaryLooked | None = None
    decided: CanaryDecided | None = None
    canary: CanaryEvaluated | None = None
    reason: str = ""
    ended_at: datetime | None = None

    @property
    def terms(self) -> RetrainingStarted:
        """What was agreed when it started; raises NotFound when it never did."""
        if self.started is None:
            raise NotFound("there is no such retraining")
        return self.started

    @property
    def canary_test(self) -> CanaryTest:
        """How its canary is decided, also if it started before that was asked."""
        return self.terms.canary or CanaryTest()

    @property
    def canary_won(self) -> bool:
        judged = self.decided or self.canary
        return judged is not None and judged.challenger_wins

    @property
    def active(self) -> bool:
        return self.started is not None and not self.phase.ended


def evolve(retraining: Retraining, event: RetrainingEvent) -> Retraining:
    """Fold one event."""
    match event:
        case RetrainingStarted():
            return replace(retraining, started=event)
        case ChallengerTrained(challenger=challenger):
            return replace(retraining, challenger=challenger, phase=Phase.EVALUATING)
        case ChallengerEvaluated(reason=reason):
            return replace(retraining, evaluation=event, reason=reason, phase=Phase.AWAITING_APPROVAL)
        case CanaryStarted():
            return replace(retraining, phase=Phase.CANARY)
        case CanaryLooked():
            return replace(retraining, looked=event)
        case CanaryDecided(reason=reason):
            return replace(retraining, decided=event, reason=reason, phase=Phase.CONCLUDING)
        case CanaryEvaluated(reason=reason):
            return replace(retraining, canary=event, reason=reason, phase=Phase.CONCLUDING)
        case ChallengerPromoted(at=at):
            return replace(retraining, phase=Phase.PROMOTED, ended_at=at)
        case RetrainingRefused(reason=reason, at=at):
            return replace(retraining, phase=Phase.REFUSED, reason=reason, ended_at=at)
        case RetrainingFailed(reason=reason, at=at):
            return replace(retraining, phase=Phase.FAILED, reason=reason, ended_at=at)
        case _:
            assert_never(event)
