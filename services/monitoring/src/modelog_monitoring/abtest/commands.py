"""What may be asked of an A/B test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelog_monitoring.abtest.events import AbPlan, Figures, Measured, SampleSize, SequenceState, SprtState


@dataclass(frozen=True)
class CreateAbTest:
    """Plan a test."""

    name: str
    model: str
    plan: AbPlan
    share_b: float
    needed: SampleSize
    measured: Measured | None = None


@dataclass(frozen=True)
class Split:
    """How the traffic of both versions is split, since when, and by the event at which position."""

    share_b: float
    needed: SampleSize
    at: datetime
    position: int


@dataclass(frozen=True)
class StartAbTest:
    """Count predictions from the event time `since` on; `split` is None when not both versions have traffic."""

    split: Split | None
    since: datetime


@dataclass(frozen=True)
class RecordLook:
    """More outcomes were counted in."""

    until: datetime
    figures: Figures
    state: SprtState | SequenceState


@dataclass(frozen=True)
class ConcludeAbTest:
    """Its time may be over: end it with what it has."""


@dataclass(frozen=True)
class StopAbTest:
    """End it without a decision."""

    reason: str


AbTestCommand = CreateAbTest | StartAbTest | RecordLook | ConcludeAbTest | StopAbTest
