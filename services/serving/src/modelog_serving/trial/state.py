"""The trials of a file as its events left them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from modelog_serving.trial.commands import Conditions
from modelog_serving.trial.events import FILE, NOT_TRIED, TrialAsked, TrialEvent, VersionTried


@dataclass(frozen=True)
class Trial:
    """The last trial; None before the first. `asked` is who wanted another one since, if anybody did."""

    last: VersionTried | None = None
    asked: TrialAsked | None = None

    def settles(self, conditions: Conditions) -> bool:
        """Whether another trial under these conditions would tell nothing new, and nobody asked for it."""
        return self.asked is None and self.holds(conditions)

    def holds(self, conditions: Conditions) -> bool:
        """Whether the last trial was made under conditions that are alike."""
        last = self.last
        if last is None or last.packages != conditions.packages or last.found.cause == FILE:
            return False
        if last.found.state == NOT_TRIED:
            return last.approved or not conditions.approved
        return not last.found.cause or last.limits == conditions.limits


def evolve(trial: Trial, event: TrialEvent) -> Trial:
    """Fold one event: the last trial counts."""
    match event:
        case VersionTried():
            return Trial(event)
        case TrialAsked():
            return replace(trial, asked=event)
        case _:
            assert_never(event)
