"""The messages of the contract, made of a job's state."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.training.v1 import training_pb2 as pb

from modelog_training.job.events import BatchFinished, BatchStarted, CheckResult, JobSubmitted
from modelog_training.job.state import Job, JobStatus

STATUSES = {
    JobStatus.QUEUED: pb.JOB_STATUS_QUEUED,
    JobStatus.RUNNING: pb.JOB_STATUS_RUNNING,
    JobStatus.SUCCEEDED: pb.JOB_STATUS_SUCCEEDED,
    JobStatus.FAILED: pb.JOB_STATUS_FAILED,
    JobStatus.CANCELLED: pb.JOB_STATUS_CANCELLED,
}


def job_message(job: Job, submitted: JobSubmitted, position: int) -> pb.Job:
    """A job as of its last event, which stands at `position`."""
    return pb.Job(
        id=submitted.job_id,
        spec=spec_message(submitted),
        status=STATUSES[job.status],
        author=submitted.author,
        attempt=job.attempt,
        run_id=job.run_id,
        checks=[check_message(result) for result in job.checks],
        metrics={name: float(value) for name, value in job.metrics.items()},
        model_digest=job.model_digest,
        registered_version=job.registered_version,
        error=job.error,
        submitted_at=timestamp(submitted.at),
        started_at=timestamp(job.started_at),
        ended_at=timestamp(job.ended_at),
        position=position,
        batch=batch_message(job.batch, job.batch_end) if job.batch is not None else None,
    )


def batch_message(begun: BatchStarted, end: BatchFinished | None) -> pb.Batch:
    """A batch, with what came of it when it has ended."""
    made = pb.Batch(
        source=begun.source,
        query=begun.query,
        source_digest=begun.source_digest,
        model=begun.model,
        version=begun.version,
        model_digest=begun.model_digest,
        rows=begun.rows,
        output=begun.output,
        output_digest=end.output_digest if end is not None else "",
        errors=end.errors if end is not None else 0,
    )
    if begun.dataset is not None:
        made.dataset.CopyFrom(common.DatasetRef(dataset=begun.dataset.dataset, version=begun.dataset.version))
    return made


def spec_message(submitted: JobSubmitted) -> pb.JobSpec:
    """What was asked for, with what was left out filled in."""
    register = submitted.register
    spec = pb.JobSpec(
        name=submitted.name,
        experiment=submitted.experiment,
        entry_point=submitted.entry_point,
        source_digest=submitted.source_digest,
        datasets=[common.DatasetRef(dataset=d.dataset, version=d.version) for d in submitted.datasets],
        resources=pb.Resources(cpus=submitted.resources.cpus, memory_bytes=submitted.resources.memory_bytes),
        max_attempts=submitted.max_attempts,
        timeout_s=submitted.timeout_s,
        git_commit=submitted.git_commit,
        git_dirty=submitted.git_dirty,
        tags=submitted.tags,
        models=[pb.ModelRef(model=m.model, version=m.version) for m in submitted.models],
    )
    spec.parameters.update(submitted.parameters)
    if register is not None:
        spec.register.CopyFrom(
            pb.RegisterOnSuccess(model=register.model, version=register.version, description=register.description)
        )
    return spec


def check_message(result: CheckResult) -> pb.CheckResult:
    return pb.CheckResult(
        dataset=result.dataset,
        version=result.version,
        column=result.column,
        kind=result.kind,
        passed=result.passed,
        detail=result.detail,
    )


def timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made
