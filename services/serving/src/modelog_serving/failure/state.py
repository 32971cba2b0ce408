"""A deployment's failures as its events left them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from modelog_serving.failure.events import BreakerClosed, BreakerOpened, FailureEvent, ModelFailed


@dataclass(frozen=True)
class Failures:
    """How often a model's process was replaced, and when last, None before the first; how often a breaker opened."""

    count: int = 0
    last: datetime | None = None
    opened: int = 0


def evolve(failures: Failures, event: FailureEvent) -> Failures:
    """Fold one event."""
    match event:
        case ModelFailed(at=at):
            return replace(failures, count=failures.count + 1, last=at)
        case BreakerOpened():
            return replace(failures, opened=failures.opened + 1)
        case BreakerClosed():
            return failures
        case _:
            assert_never(event)
