"""What happens to a challenger on its way."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from modelog_common.events.types import event

from modelog_monitoring.policy.events import CanaryTest


class Difference(msgspec.Struct, frozen=True):
    """One figure of both models, and challenger minus champion with its 95 % interval and two-sided p-value."""

    champion: float
    challenger: float
    value: float
    low: float
    high: float
    p_value: float


class Comparison(msgspec.Struct, frozen=True):
    """Champion and challenger on the same labelled rows, whose event times lie from `since` to `until`.

    `auc` is None where a class has fewer than two rows, `log_loss` where there are fewer than two rows.
    """

    rows: int
    auc: Difference | None
    log_loss: Difference | None
    since: datetime
    until: datetime


class TrainingSet(msgspec.Struct, frozen=True):
    """The versions of a dataset that the challenger is trained on."""

    dataset: str
    versions: tuple[int, ...]


class CanaryVerdict(StrEnum):
    """What a canary's bounds say."""

    UNDECIDED = "undecided"
    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    NOT_PROVED = "not_proved"

    @property
    def wins(self) -> bool:
        return self in (CanaryVerdict.BETTER, CanaryVerdict.NOT_WORSE)


class CanaryFigures(msgspec.Struct, frozen=True):
    """Both models on the rows that the challenger answered, all up to now: mean Brier scores, the lower the better.

    The expected gain, the champion's minus the challenger's, lies from `low` to `high` by all looks so far. `sums` are
    those of the first four powers of the gains, which the next look goes on from.
    """

    rows: int
    champion_brier: float
    challenger_brier: float
    low: float
    high: float
    sums: tuple[float, float, float, float]

    @property
    def gain(self) -> float:
        return self.champion_brier - self.challenger_brier


@event("monitoring.RetrainingStarted")
class RetrainingStarted:
    """A window met a policy's conditions, and a training job was submitted.

    What the challenger must prove is kept as it was then; `window_end` is where its fresh rows begin.
    """

    retraining_id: str
    policy: str
    monitor: str
    window_id: str
    window: str
    window_end: datetime
    model: str
    deployment: str
    champion: str
    job_id: str
    training_set: TrainingSet
    evaluation_rows: int
    canary_percent: float
    canary_rows: int
    allowed_lateness_s: float
    at: datetime
    canary: CanaryTest | None = None


@event("monitoring.ChallengerTrained")
class ChallengerTrained:
    """The job registered a model version."""

    retraining_id: str
    job_id: str
    challenger: str
    at: datetime


@event("monitoring.ChallengerEvaluated")
class ChallengerEvaluated:
    """Both models were compared on fresh rows that neither was trained on."""

    retraining_id: str
    comparison: Comparison
    challenger_wins: bool
    reason: str
    at: datetime


@event("monitoring.CanaryStarted")
class CanaryStarted:
    """A reviewer approved the challenger, and it answers a share of the traffic."""

    retraining_id: str
    deployment: str
    challenger: str
    percent: float
    reviewer: str
    at: datetime


@event("monitoring.CanaryLooked")
class CanaryLooked:
    """The outcomes of what the challenger answered up to the event time `until` were counted in."""

    retraining_id: str
    number: int
    until: datetime
    figures: CanaryFigures
    verdict: CanaryVerdict
    at: datetime


@event("monitoring.CanaryDecided")
class CanaryDecided:
    """The last look was enough to promote the challenger or to refuse it, or the rows that it was given are over."""

    retraining_id: str
    challenger_wins: bool
    reason: str
    at: datetime


@event("monitoring.CanaryEvaluated")
class CanaryEvaluated:
    """Both models were compared once, at the end of the canary: how canaries were judged before they were looked at."""

    retraining_id: str
    comparison: Comparison
    challenger_wins: bool
    reason: str
    at: datetime


@event("monitoring.ChallengerPromoted")
class ChallengerPromoted:
    """The challenger is the champion now, and has all the traffic."""

    retraining_id: str
    model: str
    challenger: str
    champion: str
    at: datetime


@event("monitoring.RetrainingRefused")
class RetrainingRefused:
    """The challenger did not prove itself, or a reviewer rejected it; the champion stays."""

    retraining_id: str
    reason: str
    at: datetime


@event("monitoring.RetrainingFailed")
class RetrainingFailed:
    """A step could not be done; the champion stays."""

    retraining_id: str
    reason: str
    at: datetime


RetrainingEvent = (
    RetrainingStarted
    | ChallengerTrained
    | ChallengerEvaluated
    | CanaryStarted
    | CanaryLooked
    | CanaryDecided
    | CanaryEvaluated
    | ChallengerPromoted
    | RetrainingRefused
    | RetrainingFailed
)
