"""The releases of one deployment, folded from their events: the last one, and how many there were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_serving.release.events import (
    Evidence,
    ReleaseAdvanced,
    ReleaseEvent,
    ReleaseLooked,
    ReleasePromoted,
    ReleaseRolledBack,
    ReleaseStarted,
    ReleaseStopped,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = Evidence(0)


class Phase(StrEnum):
    """Where a release is."""

    NONE = ""
    RUNNING = "running"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Release:
    """The last release of a deployment; before the first one it has no start.

    `evidence` is the newest of the present step.
    """

    started: ReleaseStarted | None = None
    phase: Phase = Phase.NONE
    step: int = 0
    step_at: datetime = _EPOCH
    evidence: Evidence = _NOTHING
    reason: str = ""
    ended_at: datetime | None = None

    @property
    def terms(self) -> ReleaseStarted:
        """What was agreed when it started; raises NotFound when there never was one."""
        if self.started is None:
            raise NotFound("there is no such release")
        return self.started

    @property
    def number(self) -> int:
        return 0 if self.started is None else self.started.number

    @property
    def running(self) -> bool:
        return self.phase is Phase.RUNNING

    @property
    def percent(self) -> float:
        """The candidate's share of the traffic in the present step."""
        return self.terms.plan.steps[self.step]

    def splits_before(self) -> tuple[dict[str, float], ...]:
        """The shares that the release may have left the traffic at before those that it wants now."""
        terms = self.terms
        done = terms.plan.steps[: self.step if self.running else self.step + 1]
        return tuple(_shares(terms, percent) for percent in (0.0, *done))

    def split(self) -> dict[str, float]:
        """The shares that the release wants, by version; what ended without a decision wants none."""
        terms = self.terms
        match self.phase:
            case Phase.RUNNING:
                return _shares(terms, self.percent)
            case Phase.PROMOTED:
                return {terms.candidate.version: 100.0}
            case Phase.ROLLED_BACK:
                return {terms.incumbent.version: 100.0}
            case Phase.STOPPED | Phase.NONE:
                return {}
            case _:
                assert_never(self.phase)


def _shares(terms: ReleaseStarted, percent: float) -> dict[str, float]:
    shares = ((terms.incumbent.version, 100 - percent), (terms.candidate.version, percent))
    return {version: share for version, share in shares if share}


def evolve(release: Release, event: ReleaseEvent) -> Release:
    """Fold one event; a new release takes the place of the one before."""
    match event:
        case ReleaseStarted(at=at, reason=reason):
            return Release(event, Phase.RUNNING, step_at=at, reason=reason)
        case ReleaseLooked(evidence=evidence):
            return replace(release, evidence=evidence)
        case ReleaseAdvanced(step=step, reason=reason, at=at):
            return replace(release, step=step, step_at=at, evidence=Evidence(step), reason=reason)
        case ReleasePromoted():
            return _ended(release, Phase.PROMOTED, event)
        case ReleaseRolledBack():
            return _ended(release, Phase.ROLLED_BACK, event)
        case ReleaseStopped():
            return _ended(release, Phase.STOPPED, event)
        case _:
            assert_never(event)


def _ended(release: Release, phase: Phase, event: ReleasePromoted | ReleaseRolledBack | ReleaseStopped) -> Release:
    return replace(release, phase=phase, evidence=event.evidence, reason=event.reason, ended_at=event.at)
