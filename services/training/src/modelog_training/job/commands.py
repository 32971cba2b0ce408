"""What may be asked of a job; what an attempt tells carries the attempt's fence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelog_training.job.events import CheckResult, DatasetRef, ModelRef, Registration, Resources


@dataclass(frozen=True)
class SubmitJob:
    """Queue a job."""

    job_id: str
    name: str
    experiment: str
    entry_point: str
    source_digest: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[DatasetRef, ...] = ()
    resources: Resources = field(default_factory=Resources)
    max_attempts: int = 3
    timeout_s: float = 86400.0
    register: Registration | None = None
    git_commit: str = ""
    git_dirty: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    models: tuple[ModelRef, ...] = ()


@dataclass(frozen=True)
class CancelJob:
    """Stop a job that has not ended."""

    job_id: str
    reason: str = ""


@dataclass(frozen=True)
class StartAttempt:
    """Take a queued job."""

    job_id: str


@dataclass(frozen=True)
class RecordChecks:
    """Tell what the checks of the data found."""

    job_id: str
    fence: int
    results: tuple[CheckResult, ...]


@dataclass(frozen=True)
class LinkRun:
    """Tell which run of the registry belongs to the attempt."""

    job_id: str
    fence: int
    run_id: str


@dataclass(frozen=True)
class BeginBatch:
    """Tell what goes through which model."""

    job_id: str
    fence: int
    source: str
    query: str
    source_digest: str
    dataset: DatasetRef | None
    model: str
    version: str
    model_digest: str
    rows: int
    output: str


@dataclass(frozen=True)
class FinishBatch:
    """Tell that all of a batch's output is there."""

    job_id: str
    fence: int
    rows: int
    errors: int
    output_digest: str


@dataclass(frozen=True)
class LoseAttempt:
    """Tell that the attempt's worker is gone."""

    job_id: str
    fence: int
    reason: str


@dataclass(frozen=True)
class Succeed:
    """Tell that the job is done."""

    job_id: str
    fence: int
    run_id: str
    metrics: Mapping[str, float]
    model_digest: str = ""
    registered_version: str = ""


@dataclass(frozen=True)
class Fail:
    """Tell that the job cannot be done."""

    job_id: str
    fence: int
    error: str


@dataclass(frozen=True)
class ConfirmCancelled:
    """Tell that a job whose end was wanted is stopped."""

    job_id: str
    fence: int


Report = RecordChecks | LinkRun | BeginBatch | FinishBatch | LoseAttempt | Succeed | Fail | ConfirmCancelled
JobCommand = SubmitJob | CancelJob | StartAttempt | Report
