"""Which jobs have not ended, in the order in which they were submitted: folded from the service's own events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from modelog_common.events.store import StoredEvent

from modelog_training.job.events import (
    EVENTS,
    AttemptLost,
    JobCancelled,
    JobCancelRequested,
    JobFailed,
    JobStarted,
    JobSubmitted,
    JobSucceeded,
)


@dataclass(frozen=True)
class OpenJob:
    """A job that waits or runs. `fence` is that of the attempt that runs, 0 while it waits."""

    job_id: str
    tenant: str
    cpus: float
    correlation_id: str = ""
    fence: int = 0
    cancel: bool = False


class OpenJobs:
    """All of them; a job that lost its worker keeps its place."""

    def __init__(self) -> None:
        self._jobs: dict[str, OpenJob] = {}

    def apply(self, stored: StoredEvent) -> OpenJob | None:
        """Fold one event; returns the job it is about, as it is after it, while that is open."""
        match EVENTS.decode(stored.type, stored.schema, stored.payload):
            case JobSubmitted(job_id=job_id, resources=resources):
                self._jobs[job_id] = OpenJob(job_id, stored.tenant, resources.cpus, stored.correlation_id)
            case JobStarted(job_id=job_id, fence=fence):
                self._change(job_id, fence=fence)
            case AttemptLost(job_id=job_id):
                self._change(job_id, fence=0)
            case JobCancelRequested(job_id=job_id):
                self._change(job_id, cancel=True)
            case JobSucceeded(job_id=job_id) | JobFailed(job_id=job_id) | JobCancelled(job_id=job_id):
                self._jobs.pop(job_id, None)
            case other:
                job_id = other.job_id
        return self._jobs.get(job_id)

    def _change(self, job_id: str, *, fence: int | None = None, cancel: bool = False) -> None:
        job = self._jobs[job_id]
        self._jobs[job_id] = replace(job, fence=job.fence if fence is None else fence, cancel=cancel or job.cancel)

    def __iter__(self) -> Iterator[OpenJob]:
        return iter(list(self._jobs.values()))
