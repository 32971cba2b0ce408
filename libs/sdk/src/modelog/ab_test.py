"""A/B tests as calls answer with them."""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from modelog.types import Record


class AbSampleSize(Record):
    """Predictions with outcomes: of each version for one look at the end, of both when it is watched all the time."""

    a: int = 0
    b: int = 0
    watched: int = 0


class AbMeasured(Record):
    """What was measured of version a before the test: its predictions with outcomes, by event time."""

    since: Optional[datetime] = None
    until: Optional[datetime] = None
    events: int = 0
    mean: float = 0.0
    sd: float = 0.0


class AbLook(Record):
    """What a test said at a look: `estimate` is the mean of b minus that of a, `low` and `high` hold at any time."""

    test: str = ""
    number: int = 0
    until: Optional[datetime] = None
    events_a: int = 0
    events_b: int = 0
    mean_a: float = 0.0
    mean_b: float = 0.0
    estimate: float = 0.0
    low: Optional[float] = None
    high: Optional[float] = None
    p_value: float = 1.0
    at: Optional[datetime] = None
    position: int = 0


class AbTest(Record):
    """A test of two versions of a deployment on the outcomes of their predictions."""

    id: str = ""
    name: str = ""
    deployment: str = ""
    model: str = ""
    a: str = ""
    b: str = ""
    metric: str = ""
    threshold: float = 0.0
    higher_is_better: bool = False
    min_effect: float = 0.0
    alpha: float = 0.0
    power: float = 0.0
    baseline: float = 0.0
    sd: float = 0.0
    method: str = ""
    allowed_lateness_s: float = 0.0
    state: str = ""
    share_b: float = 0.0
    needed: Optional[AbSampleSize] = None
    author: str = ""
    created_at: Optional[datetime] = None
    started_by: str = ""
    started_at: Optional[datetime] = None
    ended_at: Optional[datetime] = None
    latest: Optional[AbLook] = None
    verdict: str = ""
    reason: str = ""
    position: int = 0
    lowest: Optional[float] = None
    highest: Optional[float] = None
    longest_s: float = 0.0
    ends_by: Optional[datetime] = None
    measure_s: float = 0.0
    measured: Optional[AbMeasured] = None
