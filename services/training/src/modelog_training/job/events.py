"""What happens to a training job."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import msgspec
from modelog_common.events.types import EventTypes, event, spec_of

Number = float | str


class DatasetRef(msgspec.Struct, frozen=True):
    """One version of a dataset."""

    dataset: str
    version: int


class ModelRef(msgspec.Struct, frozen=True):
    """A stored version of a model."""

    model: str
    version: str


class Resources(msgspec.Struct, frozen=True):
    """What a job needs: CPUs, and bytes of memory (0: no request)."""

    cpus: float = 1.0
    memory_bytes: int = 0


class Registration(msgspec.Struct, frozen=True):
    """Register what the job made as a version of `model`; an empty version takes the next one."""

    model: str
    version: str = ""
    description: str = ""


class CheckResult(msgspec.Struct, frozen=True):
    """The outcome of one expectation on one dataset version; `detail` says in words what was seen."""

    dataset: str
    version: int
    column: str
    kind: str
    passed: bool
    detail: str


@event("training.JobSubmitted", version=2)
class JobSubmitted:
    """Somebody asked for a job; it waits for its turn. Jobs of version 1 got no stored models."""

    job_id: str
    tenant: str
    name: str
    experiment: str
    entry_point: str
    source_digest: str
    parameters: dict[str, Any]
    datasets: tuple[DatasetRef, ...]
    resources: Resources
    max_attempts: int
    timeout_s: float
    register: Registration | None
    git_commit: str
    git_dirty: bool
    tags: dict[str, str]
    author: str
    at: datetime
    models: tuple[ModelRef, ...] = ()


@event("training.JobStarted")
class JobStarted:
    """An attempt began; what is told of it must name its fence, which grows with every start."""

    job_id: str
    attempt: int
    fence: int
    at: datetime


@event("training.DataChecked")
class DataChecked:
    """The expectations of the datasets were looked at, before any of the user's code ran."""

    job_id: str
    attempt: int
    results: tuple[CheckResult, ...]
    passed: bool
    at: datetime


@event("training.RunLinked")
class RunLinked:
    """The attempt has a run in the registry, which holds what it measures."""

    job_id: str
    attempt: int
    run_id: str
    at: datetime


@event("training.AttemptLost")
class AttemptLost:
    """The attempt's worker, or the service above it, went away; the job waits for its turn again."""

    job_id: str
    attempt: int
    reason: str
    at: datetime


@event("training.BatchStarted")
class BatchStarted:
    """Rows began to go through a stored version. `source_digest` is of what is read, or of the rows of the query.

    `source` and `output` are places as the job was told; `dataset` is there where the source is one.
    """

    job_id: str
    attempt: int
    source: str
    query: str
    source_digest: str
    dataset: DatasetRef | None
    model: str
    version: str
    model_digest: str
    rows: int
    output: str
    at: datetime


@event("training.BatchFinished")
class BatchFinished:
    """There is one row in the output for each row that was read; `errors` of them have no prediction.

    `output_digest` is the SHA-256 of the digests of the output's parts, in order, each on a line.
    """

    job_id: str
    attempt: int
    rows: int
    errors: int
    output: str
    output_digest: str
    at: datetime


@event("training.JobSucceeded")
class JobSucceeded:
    """The job is done. `metrics` are last values by name; what JSON has no number for is stored as "NaN" and so on."""

    job_id: str
    attempt: int
    run_id: str
    metrics: dict[str, Number]
    model_digest: str
    model: str
    registered_version: str
    at: datetime


@event("training.JobFailed")
class JobFailed:
    """The job ended without what was asked for."""

    job_id: str
    attempt: int
    error: str
    at: datetime


@event("training.JobCancelRequested")
class JobCancelRequested:
    """Somebody wants the job stopped."""

    job_id: str
    by: str
    reason: str
    at: datetime


@event("training.JobCancelled")
class JobCancelled:
    """The job was stopped because somebody wanted it."""

    job_id: str
    by: str
    reason: str
    at: datetime


JobEvent = (
    JobSubmitted
    | JobStarted
    | DataChecked
    | RunLinked
    | AttemptLost
    | BatchStarted
    | BatchFinished
    | JobSucceeded
    | JobFailed
    | JobCancelRequested
    | JobCancelled
)
TYPES = (
    JobSubmitted,
    JobStarted,
    DataChecked,
    RunLinked,
    AttemptLost,
    BatchStarted,
    BatchFinished,
    JobSucceeded,
    JobFailed,
    JobCancelRequested,
    JobCancelled,
)
EVENTS = EventTypes(TYPES, {(spec_of(JobSubmitted).name, 1): lambda fields: fields})


def stored_number(value: float) -> Number:
    """A metric's value in the form that JSON can hold."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
