"""What happens to a logged model."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from modelog_common.events.types import event

from modelog_registry.artifact import Artifact
from modelog_registry.run.events import Number


class LoggedModelStatus(StrEnum):
    """How far a logged model is."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class ModelMetric(msgspec.Struct, frozen=True):
    """One measured value; numbers as in the points of a run."""

    name: str
    value: Number
    step: int
    at: datetime
    run_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


@event("registry.LoggedModelCreated", version=2)
class LoggedModelCreated:
    """A model of an experiment of a tenant began to be written.

    `created_at` is what its author said of when it was created elsewhere, None when it said nothing.
    """

    model_id: str
    tenant: str
    experiment_id: str
    name: str
    model_type: str
    source_run_id: str
    parameters: dict[str, str]
    tags: dict[str, str]
    author: str
    at: datetime
    created_at: datetime | None = None


@event("registry.LoggedModelAddedTo")
class LoggedModelAddedTo:
    """Something was told of a logged model, and tags taken away."""

    model_id: str
    parameters: dict[str, str]
    tags: dict[str, str]
    removed_tags: tuple[str, ...]
    metrics: tuple[ModelMetric, ...]
    artifacts: tuple[Artifact, ...]
    by: str
    at: datetime


@event("registry.LoggedModelFinalised")
class LoggedModelFinalised:
    """A logged model is whole, or failed."""

    model_id: str
    status: LoggedModelStatus
    message: str
    by: str
    at: datetime


@event("registry.LoggedModelArtifactsRemoved")
class LoggedModelArtifactsRemoved:
    """Files were taken off a logged model; their content stays in the store."""

    model_id: str
    paths: tuple[str, ...]
    by: str
    at: datetime


@event("registry.LoggedModelDeleted")
class LoggedModelDeleted:
    """A logged model was hidden."""

    model_id: str
    by: str
    at: datetime


LoggedModelEvent = (
    LoggedModelCreated | LoggedModelAddedTo | LoggedModelFinalised | LoggedModelArtifactsRemoved | LoggedModelDeleted
)
