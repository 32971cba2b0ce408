"""How a job's row is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.read.project import EntityProjection, Projection
from modelog_common.read.tables import Change, Put

from modelog_training.job.decide import JOB
from modelog_training.job.events import EVENTS
from modelog_training.job.state import Job
from modelog_training.read.messages import job_message
from modelog_training.read.tables import JOBS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def projections(store: EventStore) -> Sequence[Projection]:
    """All projections of the training service."""
    return (EntityProjection(store, JOB, EVENTS, job_rows),)


def job_rows(job: Job, stored: StoredEvent) -> Sequence[Change]:
    if job.submitted is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the job was submitted")
    body = job_message(job, job.submitted, stored.position).SerializeToString()
    submitted_us = (job.submitted.at - _EPOCH) // timedelta(microseconds=1)
    values = {"status": job.status.value, "submitted_us": submitted_us}
    return [Put(JOBS, {"job_id": job.submitted.job_id}, body, values)]
