"""What is told of a deployment's traffic."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.events.types import event

from modelog_serving.traffic.latency import Latencies


class VersionTraffic(msgspec.Struct, frozen=True):
    """One version's requests of a window: those that were answered, by latency, and those that were not."""

    version: str
    requests: int
    errors: int
    latencies: Latencies


@event("serving.TrafficMeasured", version=1)
class TrafficMeasured:
    """The requests of [start, end) that one process answered.

    A process that was started anew within a window tells of the same window once more: what it says adds up.
    """

    deployment_id: str
    name: str
    model: str
    start: datetime
    end: datetime
    versions: tuple[VersionTraffic, ...]
    at: datetime


TrafficEvent = TrafficMeasured
