"""Deployments and predictions."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, List, Optional, Union

from modelog.types.models import Signature
from modelog.types.records import Record


class Variant(Record):
    version: str = ""
    percent: float = 0.0
    model_digest: str = ""
    flavor: str = ""
    answered: int = 0


class Scaling(Record):
    min_replicas: int = 0
    max_replicas: int = 0
    target_concurrency: float = 0.0
    target_latency_ms: float = 0.0
    up_cooldown_s: int = 0
    down_cooldown_s: int = 0
    scale_to_zero: bool = False
    idle_s: int = 0
    gpus: int = 0


class Caching(Record):
    ttl_s: int = 0
    max_bytes: int = 0
    hits: int = 0
    misses: int = 0


class Breaker(Record):
    """A version is asked no more for `open_s` when `failure_share` of the requests of the last `window_s` failed."""

    failure_share: float = 0.5
    window_s: int = 30
    min_requests: int = 20
    open_s: int = 30
    probes: int = 3


class BreakerStatus(Record):
    """Of a version, in the worker process of this number; 0 where there are no workers."""

    version: str = ""
    state: str = ""
    again_in_s: float = 0.0
    worker: int = 0


class Retries(Record):
    """Each request is tried up to `attempts` times; of ten seconds' requests `budget` of 1, or `least`, are retries."""

    attempts: int = 2
    budget: float = 0.2
    least: int = 3


class DefaultOutput(Record):
    output: str = ""
    values: List[float] = []


class Fallback(Record):
    version: str = ""
    outputs: List[DefaultOutput] = []
    model_digest: str = ""
    default_digest: str = ""


class Resilience(Record):
    breaker: Optional[Breaker] = None
    retries: Optional[Retries] = None
    timeout_ms: int = 0
    fallback: Optional[Fallback] = None
    breakers: List[BreakerStatus] = []
    retried: int = 0
    fallbacks: int = 0


class Replicas(Record):
    backend: str = ""
    wanted: int = 0
    ready: int = 0
    problems: List[str] = []


class Deployment(Record):
    id: str = ""
    name: str = ""
    model: str = ""
    environment: str = ""
    status: str = ""
    variants: List[Variant] = []
    signature: Optional[Signature] = None
    author: str = ""
    error: str = ""
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    position: int = 0
    scaling: Optional[Scaling] = None
    replicas: Optional[Replicas] = None
    caching: Optional[Caching] = None
    resilience: Optional[Resilience] = None


class LatencyBucket(Record):
    upper_ms: float = 0.0
    count: int = 0


class VersionLatencies(Record):
    version: str = ""
    answered: int = 0
    errors: int = 0
    buckets: List[LatencyBucket] = []
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class DeploymentLatencies(Record):
    """Of the minutes that are events of the log; `open` is of the one that is not over, and only of now."""

    deployment: str = ""
    minutes: int = 0
    versions: List[VersionLatencies] = []
    open: List[VersionLatencies] = []


class Prediction(Record):
    prediction_id: str = ""
    deployment: str = ""
    model: str = ""
    version: str = ""
    model_digest: str = ""
    features: Dict[str, float] = {}
    outputs: List[float] = []
    event_time: Optional[datetime] = None
    answered_at: Optional[datetime] = None
    key: str = ""
    texts: Dict[str, str] = {}
    output_texts: List[str] = []
    sealed: bool = False


class ReplayPage(Record):
    """Answers beside what a version answers now; what JSON has no number for is "NaN", "Infinity" or "-Infinity".

    The texts are as many as the numbers, or none where no output is a text. `erased` answers are left out.
    """

    prediction_ids: List[str] = []
    versions: List[str] = []
    logged: List[Union[float, str]] = []
    replayed: List[Union[float, str]] = []
    logged_texts: List[str] = []
    replayed_texts: List[str] = []
    slice_values: List[Union[float, str]] = []
    next_after: int = 0
    last: int = 0
    erased: int = 0


class VersionTrial(Record):
    """What became of a version when it was tried: `state` is TRIAL_STATE_WAITING, _WORKS, _KEPT_ORIGINAL, _REFUSED or
    _NOT_TRIED, `reason` says why of the last two. `doing` is what is done with it now."""

    model: str = ""
    version: str = ""
    state: str = ""
    reason: str = ""
    cause: str = ""
    model_digest: str = ""
    tried_version: str = ""
    engine: str = ""
    why: str = ""
    sample: str = ""
    rows: int = 0
    largest_difference: Optional[float] = None
    tolerance: float = 0.0
    unequal: bool = False
    row_us: float = 0.0
    row_of_32_us: float = 0.0
    memory_bytes: int = 0
    missing: str = ""
    approved: bool = False
    packages: Dict[str, str] = {}
    tried_at: Optional[datetime] = None
    position: int = 0
    doing: str = ""
    trying: bool = False
    asked_by: str = ""
    asked_why: str = ""
    asked_at: Optional[datetime] = None

    @property
    def waiting(self) -> bool:
        """Whether a trial of it is still to come: it was not tried yet, or somebody asked for another one."""
        return self.state == "TRIAL_STATE_WAITING" or self.asked_at is not None
