"""The events of other services that the graph is made of, each with just the fields that the graph needs.

A field that only decorates has a default: an event of a newer release that lacks it still finds its place.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, kw_only=True):
    """An event's payload, as far as the graph reads it."""


class DatasetRef(Event):
    dataset: str
    version: int


class Environment(Event):
    python: str = ""
    git_commit: str = ""
    git_dirty: bool = False
    entry_point: str = ""
    source_digest: str = ""


class Artifact(Event):
    digest: str = ""
    size_bytes: int = 0


class ModelRegistered(Event):
    name: str
    description: str = ""
    author: str = ""
    tags: dict[str, str] = {}


class VersionRegistered(Event):
    model: str
    version: str
    author: str = ""
    description: str = ""
    run_id: str = ""
    datasets: list[DatasetRef] = []
    flavor: str = ""
    artifact: Artifact | None = None
    metrics: dict[str, float | str | None] = {}
    tags: dict[str, str] = {}


class VersionReviewed(Event):
    model: str
    version: str
    reviewer: str
    decision: str
    comment: str = ""
    evidence: Any = None
    approval_id: str = ""


class VersionPromoted(Event):
    model: str
    version: str
    to_stage: str
    approval_id: str = ""
    reason: str = ""
    by: str = ""


class ModelUpdated(Event):
    model: str
    description: str = ""
    type: str = ""


class ModelTagged(Event):
    model: str
    tags: dict[str, str] = {}
    removed: list[str] = []


class ModelRenamed(Event):
    old_name: str
    name: str
    versions: list[str] = []
    changes: int = 0


class ModelDeleted(Event):
    model: str
    reason: str = ""
    by: str = ""


class VersionUpdated(Event):
    model: str
    version: str
    description: str = ""


class VersionTagged(Event):
    model: str
    version: str
    tags: dict[str, str] = {}
    removed: list[str] = []


class VersionDeleted(Event):
    model: str
    version: str
    reason: str = ""
    by: str = ""


class AliasSet(Event):
    model: str
    alias: str
    version: str
    from_version: str = ""


class AliasDeleted(Event):
    model: str
    alias: str
    version: str


class Evidence(Event):
    name: str = ""
    kind: str = ""
    link: str = ""


class ChangeRequested(Event):
    model: str
    version: str
    change: int
    title: str = ""
    description: str = ""
    to_stage: str = ""
    risk: str = ""
    evidence: list[Evidence] = []
    by: str = ""


class ChangeEvidenceAttached(Event):
    model: str
    change: int
    evidence: Evidence


class ChangeReviewed(Event):
    model: str
    change: int
    decision: str
    comment: str = ""
    approval_id: str = ""
    by: str = ""


class ChangeWithdrawn(Event):
    model: str
    change: int
    reason: str = ""


class ChangeApplied(Event):
    model: str
    change: int
    by: str = ""


class ExperimentCreated(Event):
    name: str
    description: str = ""
    author: str = ""


class RunStarted(Event):
    run_id: str
    experiment: str = ""
    name: str = ""
    author: str = ""
    parameters: dict[str, Any] = {}
    datasets: list[DatasetRef] = []
    environment: Environment | None = None
    tags: dict[str, str] = {}


class RunLogged(Event):
    run_id: str
    parameters: dict[str, Any] = {}
    environment: Environment | None = None
    tags: dict[str, str] = {}


class RunEnded(Event):
    run_id: str
    status: str
    error: str = ""


class DatasetVersionRegistered(Event):
    dataset: str
    version: int
    label: str = ""
    digest: str = ""
    size_bytes: int = 0
    rows: int = 0
    columns: list[Any] = []
    description: str = ""
    author: str = ""


class JobSubmitted(Event):
    job_id: str
    name: str = ""
    experiment: str = ""
    entry_point: str = ""
    source_digest: str = ""
    datasets: list[DatasetRef] = []
    git_commit: str = ""
    git_dirty: bool = False
    author: str = ""


class JobStarted(Event):
    job_id: str
    attempt: int


class RunLinked(Event):
    job_id: str
    run_id: str


class DataChecked(Event):
    job_id: str
    passed: bool


class AttemptLost(Event):
    job_id: str
    reason: str = ""


class BatchStarted(Event):
    job_id: str
    model: str
    version: str
    source: str = ""
    query: str = ""
    source_digest: str = ""
    dataset: DatasetRef | None = None
    model_digest: str = ""
    rows: int = 0
    output: str = ""


class BatchFinished(Event):
    job_id: str
    errors: int = 0
    output_digest: str = ""


class JobSucceeded(Event):
    job_id: str
    model: str = ""
    registered_version: str = ""


class JobFailed(Event):
    job_id: str
    error: str = ""


class JobCancelRequested(Event):
    job_id: str
    by: str = ""


class JobCancelled(Event):
    job_id: str
    by: str = ""


class Share(Event):
    version: str
    percent: float


class DeploymentCreated(Event):
    name: str
    model: str
    version: str
    environment: str = ""
    author: str = ""


class TrafficSet(Event):
    name: str
    model: str
    shares: list[Share]
    reason: str = ""
    by: str = ""


class DeploymentStopped(Event):
    name: str
    by: str = ""
    reason: str = ""


class MonitorCreated(Event):
    name: str
    deployment: str
    reference: list[DatasetRef] = []
    author: str = ""


class WindowEvaluated(Event):
    monitor: str
    window_id: str
    label: str = ""
    start: str = ""
    end: str = ""
    predictions: int = 0
    labelled: int = 0
    drifted_features: int = 0
    drift_alert: bool = False
    quality_alert: bool = False


class AlertRaised(Event):
    alert_id: str
    monitor: str
    window_id: str
    kind: str = ""
    text: str = ""


class RetrainingStarted(Event):
    retraining_id: str
    monitor: str
    window_id: str
    model: str
    champion: str
    job_id: str
    policy: str = ""


class ChallengerTrained(Event):
    retraining_id: str
    challenger: str


class ChallengerEvaluated(Event):
    retraining_id: str
    challenger_wins: bool = False
    reason: str = ""


class CanaryStarted(Event):
    retraining_id: str
    deployment: str = ""
    percent: float = 0.0


class CanaryDecided(Event):
    retraining_id: str
    challenger_wins: bool = False
    reason: str = ""


class CanaryEvaluated(Event):
    retraining_id: str
    challenger_wins: bool = False
    reason: str = ""


class ChallengerPromoted(Event):
    retraining_id: str
    model: str
    challenger: str


class RetrainingRefused(Event):
    retraining_id: str
    reason: str = ""


class RetrainingFailed(Event):
    retraining_id: str
    reason: str = ""


class UserCreated(Event):
    name: str
    roles: list[str] = []


RegistryEvent = (
    ModelRegistered
    | VersionRegistered
    | VersionReviewed
    | VersionPromoted
    | ModelUpdated
    | ModelTagged
    | ModelRenamed
    | ModelDeleted
    | VersionUpdated
    | VersionTagged
    | VersionDeleted
    | AliasSet
    | AliasDeleted
    | ChangeRequested
    | ChangeEvidenceAttached
    | ChangeReviewed
    | ChangeWithdrawn
    | ChangeApplied
    | ExperimentCreated
    | RunStarted
    | RunLogged
    | RunEnded
    | DatasetVersionRegistered
)
TrainingEvent = (
    JobSubmitted
    | JobStarted
    | RunLinked
    | DataChecked
    | AttemptLost
    | BatchStarted
    | BatchFinished
    | JobSucceeded
    | JobFailed
    | JobCancelRequested
    | JobCancelled
)
ServingEvent = DeploymentCreated | TrafficSet | DeploymentStopped
MonitoringEvent = (
    MonitorCreated
    | WindowEvaluated
    | AlertRaised
    | RetrainingStarted
    | ChallengerTrained
    | ChallengerEvaluated
    | CanaryStarted
    | CanaryDecided
    | CanaryEvaluated
    | ChallengerPromoted
    | RetrainingRefused
    | RetrainingFailed
)
GatewayEvent = UserCreated
