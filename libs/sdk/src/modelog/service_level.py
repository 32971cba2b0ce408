"""Service levels as calls answer with them."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

import msgspec

from modelog.types import Record


class LevelTally(Record):
    """Requests that were held against an objective, those that missed it, and how many were allowed to."""

    objective: str = ""
    judged: int = 0
    missed: int = 0
    allowed: float = 0.0


class LatencyBuckets(Record):
    """Answers by latency: `counts[n]` took at most 2 ** ((first + n) / 8) ms, and more than the bucket before."""

    first: int = 0
    counts: List[int] = []


class LevelHour(Record):
    """One hour of a version's requests."""

    start: Optional[datetime] = None
    requests: int = 0
    errors: int = 0
    latencies: Optional[LatencyBuckets] = None
    tallies: List[LevelTally] = []


class LevelAlert(Record):
    """An alert that is open: the error budget burns too fast."""

    id: str = ""
    objective: str = ""
    severity: str = ""
    text: str = ""
    at: Optional[datetime] = None


class LevelAttainment(Record):
    """How an objective was attained: a `target` of None is promised no more."""

    objective: str = ""
    target: Optional[float] = None
    judged: int = 0
    missed: int = 0
    attained_percent: float = 0.0
    budget_left_percent: float = 0.0
    burn_rate: Optional[float] = None


class ServiceLevel(Record):
    """How one version of a deployment does by its model's targets, over a period that ends with its last window."""

    deployment: str = ""
    model: str = ""
    version: str = ""
    targets: int = 0
    since: Optional[datetime] = msgspec.field(default=None, name="from")
    until: Optional[datetime] = None
    requests: int = 0
    errors: int = 0
    latency_p50_ms: Optional[float] = None
    latency_p99_ms: Optional[float] = None
    attainments: List[LevelAttainment] = []
    alerts: List[LevelAlert] = []
    hours: List[LevelHour] = []
    position: int = 0
