"""What happens to a run."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from modelog_common.domain.ids import derived_id
from modelog_common.events.types import event

from modelog_registry.artifact import Artifact

Number = float | str


class RunStatus(StrEnum):
    """How a run stands, or how it ended."""

    RUNNING = "running"
    SCHEDULED = "scheduled"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Environment(msgspec.Struct, frozen=True):
    """What a run ran in; `packages` is package name to version.

    `git_diff` is the digest of what the work tree held that the commit does not, `git_folder` where in it the entry
    point stands.
    """

    python: str
    platform: str
    packages: dict[str, str]
    git_commit: str
    git_dirty: bool
    entry_point: str
    source_digest: str
    container_image: str = ""
    arguments: tuple[str, ...] = ()
    seeds: dict[str, int] = {}
    hardware: dict[str, str] = {}
    git_remote: str = ""
    git_diff: str = ""
    git_folder: str = ""


class RunDataset(msgspec.Struct, frozen=True):
    """A dataset version that a run read, with the digest it had."""

    dataset: str
    version: int
    digest: str


class Point(msgspec.Struct, frozen=True):
    """One measured value; what JSON has no number for is stored as "NaN", "Infinity" or "-Infinity"."""

    name: str
    value: Number
    step: int
    at: datetime


class DatasetInput(msgspec.Struct, frozen=True):
    """A dataset that a run read, as its client describes it."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] = {}


class RunModel(msgspec.Struct, frozen=True):
    """A logged model that a run read or made."""

    model_id: str
    step: int = 0


@event("registry.RunStarted", version=3)
class RunStarted:
    """A run began, in an experiment of a tenant; `experiment` is the name that this had then.

    `started_at` is what the client's clock said, None when it said nothing.
    """

    run_id: str
    tenant: str
    experiment: str
    name: str
    author: str
    parameters: dict[str, Any]
    datasets: tuple[RunDataset, ...]
    environment: Environment | None
    tags: dict[str, str]
    at: datetime
    experiment_id: str
    parent_run_id: str = ""
    started_at: datetime | None = None


@event("registry.RunLogged", version=2)
class RunLogged:
    """A run told something; `environment` None left it as it was."""

    run_id: str
    parameters: dict[str, Any]
    metrics: tuple[Point, ...]
    artifacts: tuple[Artifact, ...]
    tags: dict[str, str]
    environment: Environment | None
    at: datetime


@event("registry.MetricsSealed")
class MetricsSealed:
    """Points of metrics, which the store of curves holds, are vouched for.

    They are those of the batches `first` to `last`, `count` together; `digest` is the SHA-256 of their canonical
    columns. `latest` has the last point of every metric among them.
    """

    run_id: str
    first: int
    last: int
    count: int
    digest: str
    latest: tuple[Point, ...]
    at: datetime


@event("registry.RunEnded", version=2)
class RunEnded:
    """A run came to its end; `ended_at` is what the client's clock said, None when it said nothing."""

    run_id: str
    status: RunStatus
    error: str
    at: datetime
    ended_at: datetime | None = None


@event("registry.RunResumed")
class RunResumed:
    """A run takes more again."""

    run_id: str
    status: RunStatus
    by: str
    at: datetime


@event("registry.RunRenamed")
class RunRenamed:
    """A run is called otherwise from now on."""

    run_id: str
    name: str
    by: str
    at: datetime


@event("registry.RunTagged")
class RunTagged:
    """Tags of a run were set, and others taken away; before or after its end."""

    run_id: str
    tags: dict[str, str]
    removed: tuple[str, ...]
    by: str
    at: datetime


@event("registry.RunInputsLogged")
class RunInputsLogged:
    """A run told what it read."""

    run_id: str
    datasets: tuple[DatasetInput, ...]
    models: tuple[RunModel, ...]
    at: datetime


@event("registry.RunOutputsLogged")
class RunOutputsLogged:
    """A run told which logged models it made."""

    run_id: str
    models: tuple[RunModel, ...]
    at: datetime


@event("registry.RunArtifactsRemoved")
class RunArtifactsRemoved:
    """Files were taken off a run, before or after its end; their content stays in the store."""

    run_id: str
    paths: tuple[str, ...]
    by: str
    at: datetime


@event("registry.RunDeleted")
class RunDeleted:
    """A run was hidden; it takes nothing until it is restored."""

    run_id: str
    by: str
    at: datetime


@event("registry.RunRestored")
class RunRestored:
    """The deletion was taken back."""

    run_id: str
    by: str
    at: datetime


RunEvent = (
    RunStarted
    | RunLogged
    | MetricsSealed
    | RunEnded
    | RunResumed
    | RunRenamed
    | RunTagged
    | RunInputsLogged
    | RunOutputsLogged
    | RunArtifactsRemoved
    | RunDeleted
    | RunRestored
)


def started_from_1(fields: dict[str, Any]) -> dict[str, Any]:
    """The first version named the experiment only; it had one id as long as its name could not change."""
    return {**fields, "experiment_id": derived_id(fields["tenant"], fields["experiment"])}


def stored_number(value: float) -> Number:
    """A metric's value in the form that JSON can hold."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
