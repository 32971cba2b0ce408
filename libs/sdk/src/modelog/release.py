"""Releases as calls answer with them."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types import Record


class ReleaseOutcome(Record):
    """The A/B test that each step of a canary starts; `effect` is the difference that matters, or the margin."""

    metric: str = ""
    effect: float = 0.0
    criterion: str = ""
    baseline: float = 0.0
    sd: float = 0.0
    threshold: float = 0.0
    higher_is_better: bool = False
    method: str = ""
    lateness_s: float = 0.0


class ReleasePlan(Record):
    """How a release goes, and what the candidate must prove."""

    pattern: str = ""
    steps: List[float] = []
    alpha: float = 0.0
    error_margin: Optional[float] = None
    latency_margin: Optional[float] = None
    latency_limit_ms: float = 0.0
    outcome: Optional[ReleaseOutcome] = None
    step_s: float = 0.0
    step_requests: int = 0
    longest_s: float = 0.0


class ReleaseCounts(Record):
    """Requests of one version in one step: all, those without an answer, and those with a slow one."""

    requests: int = 0
    errors: int = 0
    slow: int = 0


class ReleaseComparison(Record):
    """One rate of both versions, with always-valid figures: `harm_p` is small where the candidate is worse."""

    figure: str = ""
    margin: float = 0.0
    incumbent: float = 0.0
    candidate: float = 0.0
    difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    harm_p: float = 1.0
    safety_p: float = 1.0


class ReleaseOutcomeEvidence(Record):
    """What the A/B test of a step says; differences are those of the candidate."""

    test: str = ""
    events_incumbent: int = 0
    events_candidate: int = 0
    mean_incumbent: float = 0.0
    mean_candidate: float = 0.0
    estimate: float = 0.0
    low: Optional[float] = None
    high: Optional[float] = None
    p_value: float = 1.0
    ended: str = ""


class ReleaseMirrored(Record):
    """What a shadow's answers were like."""

    compared: int = 0
    alike: int = 0
    failed: int = 0
    dropped: int = 0
    mean_difference: float = 0.0
    most_difference: float = 0.0


class ReleaseEvidence(Record):
    """All that is known in one step, counted from 1."""

    step: int = 0
    incumbent: Optional[ReleaseCounts] = None
    candidate: Optional[ReleaseCounts] = None
    compared: List[ReleaseComparison] = []
    outcome: Optional[ReleaseOutcomeEvidence] = None
    mirrored: Optional[ReleaseMirrored] = None


class Release(Record):
    """A version on its way to all of a deployment's traffic."""

    deployment: str = ""
    number: int = 0
    model: str = ""
    incumbent: str = ""
    candidate: str = ""
    plan: Optional[ReleasePlan] = None
    state: str = ""
    step: int = 0
    percent: float = 0.0
    evidence: Optional[ReleaseEvidence] = None
    reason: str = ""
    author: str = ""
    started_at: Optional[datetime] = None
    step_at: Optional[datetime] = None
    ended_at: Optional[datetime] = None
    position: int = 0
    purpose: str = ""


class ReleaseLook(Record):
    """What was known at a moment, and what followed from it."""

    deployment: str = ""
    release: int = 0
    event: str = ""
    evidence: Optional[ReleaseEvidence] = None
    reason: str = ""
    at: Optional[datetime] = None
    position: int = 0
