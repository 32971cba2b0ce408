"""The rules of jobs: one attempt at a time, only the newest one is listened to, and an end is an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, NotAllowed
from modelog_common.domain.semver import SemanticVersion

from modelog_training.job.commands import (
    BeginBatch,
    CancelJob,
    ConfirmCancelled,
    Fail,
    FinishBatch,
    JobCommand,
    LinkRun,
    LoseAttempt,
    RecordChecks,
    Report,
    StartAttempt,
    SubmitJob,
    Succeed,
)
from modelog_training.job.events import (
    AttemptLost,
    BatchFinished,
    BatchStarted,
    DataChecked,
    JobCancelled,
    JobCancelRequested,
    JobEvent,
    JobFailed,
    JobStarted,
    JobSubmitted,
    JobSucceeded,
    RunLinked,
    stored_number,
)
from modelog_training.job.state import Job, JobStatus, evolve


def decide(job: Job, command: JobCommand, ctx: Context) -> Sequence[JobEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case SubmitJob():
            return submit(job, command, ctx)
        case CancelJob():
            return cancel(job, command, ctx)
        case StartAttempt():
            return start(job, command, ctx)
        case _:
            return report(job, command, ctx)


def report(job: Job, command: Report, ctx: Context) -> Sequence[JobEvent]:
    """What an attempt tells: refused unless it is the attempt that runs now."""
    submitted = _held(job, command.job_id, command.fence, ctx)
    match command:
        case RecordChecks(results=results):
            passed = all(result.passed for result in results)
            return [DataChecked(command.job_id, job.attempt, results, passed, ctx.now)]
        case LinkRun(run_id=run_id):
            return () if job.run_id == run_id else [RunLinked(command.job_id, job.attempt, run_id, ctx.now)]
        case BeginBatch():
            return begin_batch(job, command, ctx)
        case FinishBatch():
            return finish_batch(job, command, ctx)
        case LoseAttempt():
            return lose(job, submitted, command, ctx)
        case Succeed():
            return succeed(job, submitted, command, ctx)
        case Fail(error=error):
            return [JobFailed(command.job_id, job.attempt, error, ctx.now)]
        case ConfirmCancelled():
            return confirm_cancelled(job, command, ctx)
        case _:
            assert_never(command)


def submit(job: Job, command: SubmitJob, ctx: Context) -> Sequence[JobEvent]:
    if job.submitted is not None:
        raise AlreadyExists(f"job {command.job_id} exists already")
    if command.register is not None and command.register.version:
        SemanticVersion.parse(command.register.version, "spec.register.version")
    return [
        JobSubmitted(
            command.job_id,
            ctx.tenant,
            command.name,
            command.experiment,
            command.entry_point,
            command.source_digest,
            dict(command.parameters),
            command.datasets,
            command.resources,
            command.max_attempts,
            command.timeout_s,
            command.register,
            command.git_commit,
            command.git_dirty,
            dict(command.tags),
            ctx.actor,
            ctx.now,
            command.models,
        )
    ]


def cancel(job: Job, command: CancelJob, ctx: Context) -> Sequence[JobEvent]:
    """A job that waits is cancelled at once; one that runs is cancelled when its worker has been stopped."""
    job.existing(command.job_id, ctx.tenant)
    if job.status.ended or job.cancel is not None:
        return ()
    asked = JobCancelRequested(command.job_id, ctx.actor, command.reason, ctx.now)
    if job.status is JobStatus.QUEUED:
        return [asked, JobCancelled(command.job_id, ctx.actor, command.reason, ctx.now)]
    return [asked]


def start(job: Job, command: StartAttempt, ctx: Context) -> Sequence[JobEvent]:
    job.existing(command.job_id, ctx.tenant)
    if job.status is not JobStatus.QUEUED:
        raise NotAllowed(f"job {command.job_id} is {job.status}; only a queued job can be started")
    return [JobStarted(command.job_id, job.attempt + 1, job.fence + 1, ctx.now)]


def begin_batch(job: Job, command: BeginBatch, ctx: Context) -> Sequence[JobEvent]:
    """Once an attempt."""
    if job.batch is not None:
        return ()
    return [
        BatchStarted(
            command.job_id,
            job.attempt,
            command.source,
            command.query,
            command.source_digest,
            command.dataset,
            command.model,
            command.version,
            command.model_digest,
            command.rows,
            command.output,
            ctx.now,
        )
    ]


def finish_batch(job: Job, command: FinishBatch, ctx: Context) -> Sequence[JobEvent]:
    """A batch with another number of rows than it read has not ended well."""
    if job.batch is None:
        raise NotAllowed(f"job {command.job_id} has not begun a batch that could be finished")
    if command.rows != job.batch.rows:
        raise NotAllowed(f"the batch of job {command.job_id} read {job.batch.rows} rows, and wrote {command.rows}")
    if job.batch_end is not None:
        return ()
    told = (command.rows, command.errors, job.batch.output, command.output_digest)
    return [BatchFinished(command.job_id, job.attempt, *told, ctx.now)]


def lose(job: Job, submitted: JobSubmitted, command: LoseAttempt, ctx: Context) -> Sequence[JobEvent]:
    """Another attempt follows unless the job was to be stopped or has had all of its attempts."""
    lost = AttemptLost(command.job_id, job.attempt, command.reason, ctx.now)
    if job.cancel is not None:
        return [lost, JobCancelled(command.job_id, job.cancel.by, job.cancel.reason, ctx.now)]
    if job.attempt >= submitted.max_attempts:
        times = "once" if job.attempt == 1 else f"{job.attempt} times"
        error = f"the job was started {times} and lost each time, most recently because {command.reason}"
        return [lost, JobFailed(command.job_id, job.attempt, error, ctx.now)]
    return [lost]


def succeed(job: Job, submitted: JobSubmitted, command: Succeed, ctx: Context) -> Sequence[JobEvent]:
    """A job that came to its end before it could be stopped has succeeded all the same."""
    return [
        JobSucceeded(
            command.job_id,
            job.attempt,
            command.run_id,
            {name: stored_number(value) for name, value in command.metrics.items()},
            command.model_digest,
            submitted.register.model if submitted.register is not None else "",
            command.registered_version,
            ctx.now,
        )
    ]


def confirm_cancelled(job: Job, command: ConfirmCancelled, ctx: Context) -> Sequence[JobEvent]:
    if job.cancel is None:
        raise NotAllowed(f"nobody asked to cancel job {command.job_id}")
    return [JobCancelled(command.job_id, job.cancel.by, job.cancel.reason, ctx.now)]


def _held(job: Job, job_id: str, fence: int, ctx: Context) -> JobSubmitted:
    submitted = job.existing(job_id, ctx.tenant)
    if job.status is not JobStatus.RUNNING:
        raise NotAllowed(f"job {job_id} is {job.status}; the answer of an attempt with fence {fence} comes too late")
    if fence != job.fence:
        raise NotAllowed(
            f"job {job_id} is in attempt {job.attempt} with fence {job.fence}; "
            f"the answer of an attempt with fence {fence} comes too late"
        )
    return submitted


JOB: Decider[Job, JobCommand, JobEvent] = Decider("training.job", Job, decide, evolve)
