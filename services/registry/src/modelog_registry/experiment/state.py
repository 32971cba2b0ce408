"""An experiment as its events left it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from modelog_registry.experiment.events import ExperimentCreated, ExperimentEvent


@dataclass(frozen=True)
class Experiment:
    """An experiment; before its first event it has no name."""

    created: ExperimentCreated | None = None


def evolve(experiment: Experiment, event: ExperimentEvent) -> Experiment:
    """Fold one event."""
    match event:
        case ExperimentCreated():
            return replace(experiment, created=event)
        case _:
            assert_never(event)
