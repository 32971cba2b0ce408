"""An A/B test as its events left it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_monitoring.abtest.events import (
    AbTestCreated,
    AbTestDecided,
    AbTestEvent,
    AbTestLooked,
    AbTestStarted,
    AbTestStopped,
)


class AbPhase(StrEnum):
    """How far a test is."""

    DRAFT = "draft"
    RUNNING = "running"
    DECIDED = "decided"
    STOPPED = "stopped"


@dataclass(frozen=True)
class AbTest:
    """A test; before its first event it has no plan. `looked` is the last look."""

    created: AbTestCreated | None = None
    started: AbTestStarted | None = None
    looked: AbTestLooked | None = None
    decided: AbTestDecided | None = None
    stopped: AbTestStopped | None = None

    @property
    def definition(self) -> AbTestCreated:
        """What was planned; raises NotFound when there is no such test."""
        if self.created is None:
            raise NotFound("there is no such A/B test; create it first")
        return self.created

    @property
    def phase(self) -> AbPhase:
        if self.decided is not None:
            return AbPhase.DECIDED
        if self.stopped is not None:
            return AbPhase.STOPPED
        return AbPhase.DRAFT if self.started is None else AbPhase.RUNNING


def evolve(test: AbTest, event: AbTestEvent) -> AbTest:
    """Fold one event."""
    match event:
        case AbTestCreated():
            return replace(test, created=event)
        case AbTestStarted():
            return replace(test, started=event)
        case AbTestLooked():
            return replace(test, looked=event)
        case AbTestDecided():
            return replace(test, decided=event)
        case AbTestStopped():
            return replace(test, stopped=event)
        case _:
            assert_never(event)
