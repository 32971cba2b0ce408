"""What happens to a version that nobody needs any more, and to a model's service level targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import msgspec
from modelog_common.domain.semver import SemanticVersion
from modelog_common.events.types import event

from modelog_registry.retiring import RetirementRules


@event("registry.RetirementAnnounced")
class RetirementAnnounced:
    """A version will be archived at `due`, unless somebody objects or the rule does not hold any more."""

    model_id: str
    model: str
    version: str
    reason: str
    due: datetime
    policy_version: int
    by: str
    at: datetime


@event("registry.RetirementObjected")
class RetirementObjected:
    """Somebody wants to keep a version: it is not retired while it is in its stage."""

    model_id: str
    model: str
    version: str
    reason: str
    by: str
    at: datetime


@event("registry.RetirementCalledOff")
class RetirementCalledOff:
    """A retirement that was announced will not happen: no rule holds any more."""

    model_id: str
    model: str
    version: str
    reason: str
    by: str
    at: datetime


class SlaTargets(msgspec.Struct, frozen=True):
    """What is promised of a model; None is not promised."""

    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    availability_percent: float | None = None
    freshness_hours: float | None = None


@event("registry.SlaSet")
class SlaSet:
    """A model's targets became these; `number` counts them from 1."""

    model_id: str
    model: str
    number: int
    targets: SlaTargets
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True)
class ReviewRetirements:
    """Announce, call off and carry out retirements of a model's versions, by the rules of `policy`."""

    policy: RetirementRules


@dataclass(frozen=True)
class ObjectToRetirement:
    """Keep a version."""

    model: str
    version: SemanticVersion
    reason: str


@dataclass(frozen=True)
class SetSla:
    """Set a model's targets; `expected` is the number of those in force as far as the caller knows."""

    model: str
    targets: SlaTargets
    reason: str = ""
    expected: int | None = None


class RetirementState(StrEnum):
    """Where a retirement stands."""

    ANNOUNCED = "announced"
    OBJECTED = "objected"
    CALLED_OFF = "called_off"
    ARCHIVED = "archived"


@dataclass(frozen=True)
class Retirement:
    """The last retirement that was announced of a version, and how it ended."""

    announced: RetirementAnnounced
    state: RetirementState = RetirementState.ANNOUNCED
    ended_by: str = ""
    ended_at: datetime | None = None
    ended_because: str = ""

    def ended(self, event: RetirementObjected | RetirementCalledOff) -> Retirement:
        """The same after somebody objected, or no rule held any more."""
        objected = isinstance(event, RetirementObjected)
        state = RetirementState.OBJECTED if objected else RetirementState.CALLED_OFF
        return replace(self, state=state, ended_by=event.by, ended_at=event.at, ended_because=event.reason)
