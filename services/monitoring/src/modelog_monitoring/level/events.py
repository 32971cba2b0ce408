"""What happens to a deployment's service level."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from modelog_common.events.types import event

from modelog_monitoring.level.latency import Latencies


class Objective(StrEnum):
    """What is promised of a model's answers."""

    AVAILABILITY = "availability"
    LATENCY_P50 = "latency_p50"
    LATENCY_P99 = "latency_p99"


class Severity(StrEnum):
    """How soon somebody should look at it."""

    PAGE = "page"
    TICKET = "ticket"


class Targets(msgspec.Struct, frozen=True):
    """The model's targets that held; `number` is their version, and None is not promised."""

    number: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    availability_percent: float | None = None


class Tally(msgspec.Struct, frozen=True):
    """Requests that were held against an objective, those that missed it, and how many were allowed to."""

    judged: int
    missed: int
    allowed: float

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.judged + other.judged, self.missed + other.missed, self.allowed + other.allowed)


class VersionLevel(msgspec.Struct, frozen=True):
    """One version's requests of a window, and how they did by each objective that was promised."""

    version: str
    requests: int
    errors: int
    latencies: Latencies
    tallies: dict[Objective, Tally]


@event("monitoring.LevelMeasured")
class LevelMeasured:
    """A window of a deployment's traffic, held against the targets; `told` is the position of serving's event."""

    level_id: str
    deployment: str
    model: str
    start: datetime
    end: datetime
    targets: Targets
    versions: tuple[VersionLevel, ...]
    told: int
    at: datetime


@event("monitoring.LevelBurning")
class LevelBurning:
    """A version uses its error budget up too fast; `told` is the position of the window that showed it."""

    alert_id: str
    level_id: str
    deployment: str
    model: str
    version: str
    objective: Objective
    severity: Severity
    window: str
    text: str
    told: int
    at: datetime


@event("monitoring.LevelMet")
class LevelMet:
    """The alert before it is over."""

    alert_id: str
    ended: str
    level_id: str
    deployment: str
    model: str
    version: str
    objective: Objective
    window: str
    text: str
    told: int
    at: datetime


LevelEvent = LevelMeasured | LevelBurning | LevelMet
