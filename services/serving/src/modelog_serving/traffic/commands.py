"""What may be asked of a deployment's traffic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelog_serving.traffic.events import VersionTraffic


@dataclass(frozen=True)
class RecordWindow:
    """A window has closed; versions without a request are not named."""

    deployment_id: str
    deployment: str
    model: str
    start: datetime
    end: datetime
    versions: tuple[VersionTraffic, ...]


TrafficCommand = RecordWindow
