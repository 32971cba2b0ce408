"""What may be asked of a retraining."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from modelog_monitoring.policy.events import CanaryTest
from modelog_monitoring.retraining.events import CanaryFigures, Comparison, TrainingSet


@dataclass(frozen=True)
class StartRetraining:
    """A training job was submitted for a window."""

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
    canary: CanaryTest = field(default_factory=CanaryTest)


@dataclass(frozen=True)
class RecordChallenger:
    """The job has registered this version."""

    challenger: str


@dataclass(frozen=True)
class RecordEvaluation:
    """What the fresh rows showed."""

    comparison: Comparison


@dataclass(frozen=True)
class StartCanary:
    """The challenger was approved and has its share of the traffic."""

    reviewer: str


@dataclass(frozen=True)
class RecordCanaryLook:
    """What the canary's rows show so far, those up to the event time `until` counted in; looks are numbered from 1."""

    number: int
    until: datetime
    figures: CanaryFigures


@dataclass(frozen=True)
class ConcludePromotion:
    """The challenger is in production and has all the traffic."""


@dataclass(frozen=True)
class RefuseChallenger:
    """The champion stays."""

    reason: str


@dataclass(frozen=True)
class FailRetraining:
    """A step could not be done."""

    reason: str


RetrainingCommand = (
    StartRetraining
    | RecordChallenger
    | RecordEvaluation
    | StartCanary
    | RecordCanaryLook
    | ConcludePromotion
    | RefuseChallenger
    | FailRetraining
)
