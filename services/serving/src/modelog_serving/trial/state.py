"""The trials of a file as its events left them."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_serving.trial.commands import Conditions
from modelog_serving.trial.events import FILE, NOT_TRIED, TrialEvent, VersionTried


@dataclass(frozen=True)
class Trial:
    """The last trial; None before the first."""

    last: VersionTried | None = None

    def settles(self, conditions: Conditions) -> bool:
        """Whether another trial under these conditions would tell nothing new."""
        last = self.last
        if last is None or last.packages != conditions.packages or last.found.cause == FILE:
            return False
        if last.found.state == NOT_TRIED:
            return last.approved or not conditions.approved
        return not last.found.cause or last.limits == conditions.limits


def evolve(_trial: Trial, event: TrialEvent) -> Trial:
    """Fold one event: the last one counts."""
    return Trial(event)
