"""What may be asked of a service level."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelog_monitoring.level.events import Targets
from modelog_monitoring.level.latency import Latencies


@dataclass(frozen=True)
class Requests:
    """One version's requests of a window."""

    version: str
    requests: int
    errors: int
    latencies: Latencies


@dataclass(frozen=True)
class RecordTraffic:
    """Serving told of a window, in its event at position `told`; these targets held then."""

    deployment: str
    model: str
    start: datetime
    end: datetime
    versions: tuple[Requests, ...]
    targets: Targets
    told: int


LevelCommand = RecordTraffic
