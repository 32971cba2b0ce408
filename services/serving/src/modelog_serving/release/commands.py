"""What may be asked of a deployment's releases."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_serving.release.events import NO_REQUESTS, Counts, Evidence, Served
from modelog_serving.release.plan import Plan


@dataclass(frozen=True)
class StartRelease:
    """Bring a version to all of the traffic, as planned."""

    deployment_id: str
    name: str
    model: str
    incumbent: Served
    candidate: Served
    plan: Plan
    baseline: Counts = NO_REQUESTS
    reason: str = ""


@dataclass(frozen=True)
class RecordEvidence:
    """What is known in the present step; it may be enough for a decision."""

    number: int
    evidence: Evidence


@dataclass(frozen=True)
class RollBackRelease:
    """Give the incumbent all of the traffic again, by hand."""

    number: int
    evidence: Evidence
    reason: str


@dataclass(frozen=True)
class StopRelease:
    """End it without a decision."""

    number: int
    evidence: Evidence
    reason: str


ReleaseCommand = StartRelease | RecordEvidence | RollBackRelease | StopRelease
