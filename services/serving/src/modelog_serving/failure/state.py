"""A deployment's failures as its events left them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelog_serving.failure.events import FailureEvent


@dataclass(frozen=True)
class Failures:
    """How often a model's process was replaced, and when last; None before the first."""

    count: int = 0
    last: datetime | None = None


def evolve(failures: Failures, event: FailureEvent) -> Failures:
    """Fold one event."""
    return Failures(failures.count + 1, event.at)
