"""A deployment's traffic as its events left it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelog_serving.traffic.events import TrafficEvent


@dataclass(frozen=True)
class Traffic:
    """Up to when there are windows; None before the first."""

    until: datetime | None = None


def evolve(traffic: Traffic, event: TrafficEvent) -> Traffic:
    """Fold one event; windows of several processes come in any order."""
    return Traffic(event.end if traffic.until is None else max(traffic.until, event.end))
