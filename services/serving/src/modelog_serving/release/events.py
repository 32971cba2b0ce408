"""What happens to a release: each step with its evidence and the reason in words."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.events.types import event

from modelog_serving.release.plan import Plan


class Counts(msgspec.Struct, frozen=True):
    """Requests of one version in one step: how many, how many had no answer, and how many a slow one."""

    requests: int = 0
    errors: int = 0
    slow: int = 0


class Compared(msgspec.Struct, frozen=True):
    """One rate of both versions, "errors" or "latency", in one step.

    `difference` is the candidate's minus the incumbent's, with its always-valid interval. `harm_p` is small where the
    candidate is worse, `safety_p` where it is less than the margin worse; both may be looked at any time.
    """

    figure: str
    margin: float
    incumbent: float
    candidate: float
    difference: float
    low: float
    high: float
    harm_p: float
    safety_p: float


class Outcome(msgspec.Struct, frozen=True):
    """What the A/B test of a step says: mean of the candidate minus mean of the incumbent, its interval and p-value.

    `ended` says why it ended; "" while it runs.
    """

    test: str
    events_incumbent: int = 0
    events_candidate: int = 0
    mean_incumbent: float = 0.0
    mean_candidate: float = 0.0
    estimate: float = 0.0
    low: float | None = None
    high: float | None = None
    p_value: float = 1.0
    ended: str = ""


class Mirrored(msgspec.Struct, frozen=True):
    """What a shadow's answers were like: compared with those returned, failed, or never asked for (dropped)."""

    compared: int = 0
    alike: int = 0
    failed: int = 0
    dropped: int = 0
    mean_difference: float = 0.0
    most_difference: float = 0.0


NO_REQUESTS = Counts()


class Evidence(msgspec.Struct, frozen=True):
    """All that is known in one step: a dozen numbers, however many requests there were."""

    step: int
    incumbent: Counts = NO_REQUESTS
    candidate: Counts = NO_REQUESTS
    compared: tuple[Compared, ...] = ()
    outcome: Outcome | None = None
    mirrored: Mirrored | None = None


class Served(msgspec.Struct, frozen=True):
    """A version and the model file that answers for it."""

    version: str
    digest: str
    flavor: str


@event("serving.ReleaseStarted", version=1)
class ReleaseStarted:
    """A version is on its way to all of a deployment's traffic.

    `baseline` is what the incumbent's requests were like before, as far as this process had seen them.
    """

    deployment_id: str
    name: str
    number: int
    model: str
    incumbent: Served
    candidate: Served
    plan: Plan
    baseline: Counts
    reason: str
    by: str
    at: datetime


@event("serving.ReleaseLooked", version=1)
class ReleaseLooked:
    """The evidence of the present step, which a restart goes on from."""

    deployment_id: str
    name: str
    number: int
    evidence: Evidence
    at: datetime


@event("serving.ReleaseAdvanced", version=1)
class ReleaseAdvanced:
    """The candidate gets the share of the next step; `evidence` is that of the step before."""

    deployment_id: str
    name: str
    number: int
    model: str
    candidate: str
    step: int
    percent: float
    evidence: Evidence
    reason: str
    at: datetime


@event("serving.ReleasePromoted", version=1)
class ReleasePromoted:
    """The candidate proved what the plan asks for, and has all of the traffic."""

    deployment_id: str
    name: str
    number: int
    model: str
    incumbent: str
    candidate: str
    evidence: Evidence
    reason: str
    at: datetime


@event("serving.ReleaseRolledBack", version=1)
class ReleaseRolledBack:
    """The incumbent has all of the traffic again."""

    deployment_id: str
    name: str
    number: int
    model: str
    incumbent: str
    candidate: str
    evidence: Evidence
    reason: str
    by: str
    at: datetime


@event("serving.ReleaseStopped", version=1)
class ReleaseStopped:
    """It ended without a decision; the traffic stays as it is."""

    deployment_id: str
    name: str
    number: int
    model: str
    candidate: str
    evidence: Evidence
    reason: str
    by: str
    at: datetime


ReleaseEvent = ReleaseStarted | ReleaseLooked | ReleaseAdvanced | ReleasePromoted | ReleaseRolledBack | ReleaseStopped
