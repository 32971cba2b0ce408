"""A job as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_training.job.events import (
    AttemptLost,
    BatchFinished,
    BatchStarted,
    CheckResult,
    DataChecked,
    JobCancelled,
    JobCancelRequested,
    JobEvent,
    JobFailed,
    JobStarted,
    JobSubmitted,
    JobSucceeded,
    Number,
    RunLinked,
)


class JobStatus(StrEnum):
    """How a job stands, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Job:
    """A job; before its first event it was not submitted.

    `attempt` and `fence` count the starts; `run_id`, `checks` and the batch are those of the newest attempt.
    """

    submitted: JobSubmitted | None = None
    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    fence: int = 0
    run_id: str = ""
    checks: tuple[CheckResult, ...] = ()
    metrics: Mapping[str, Number] = field(default_factory=dict)
    model_digest: str = ""
    registered_version: str = ""
    error: str = ""
    cancel: JobCancelRequested | None = None
    batch: BatchStarted | None = None
    batch_end: BatchFinished | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def existing(self, job_id: str, tenant: str) -> JobSubmitted:
        """How the job was submitted; raises NotFound, also for another tenant's job."""
        if self.submitted is None or self.submitted.tenant != tenant:
            raise NotFound(f"there is no job {job_id!r}")
        return self.submitted


def evolve(job: Job, event: JobEvent) -> Job:
    """Fold one event."""
    match event:
        case JobSubmitted():
            return Job(event)
        case JobStarted(attempt=attempt, fence=fence, at=at):
            return replace(
                job,
                status=JobStatus.RUNNING,
                attempt=attempt,
                fence=fence,
                started_at=at,
                run_id="",
                checks=(),
                error="",
                batch=None,
                batch_end=None,
            )
        case DataChecked(results=results):
            return replace(job, checks=results)
        case RunLinked(run_id=run_id):
            return replace(job, run_id=run_id)
        case BatchStarted():
            return replace(job, batch=event)
        case BatchFinished():
            return replace(job, batch_end=event)
        case AttemptLost(reason=reason):
            return replace(job, status=JobStatus.QUEUED, error=reason)
        case JobSucceeded():
            return replace(
                job,
                status=JobStatus.SUCCEEDED,
                run_id=event.run_id,
                metrics=event.metrics,
                model_digest=event.model_digest,
                registered_version=event.registered_version,
                error="",
                ended_at=event.at,
            )
        case JobFailed(error=error, at=at):
            return replace(job, status=JobStatus.FAILED, error=error, ended_at=at)
        case JobCancelRequested():
            return replace(job, cancel=event)
        case JobCancelled(at=at):
            return replace(job, status=JobStatus.CANCELLED, error="", ended_at=at)
        case _:
            assert_never(event)
