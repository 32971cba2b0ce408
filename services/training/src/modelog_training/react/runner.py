"""The runner: takes queued jobs in their order, as the CPUs allow, and sees each attempt to its end.

It keeps nothing of its own: which jobs are open follows from the service's events, also after a kill -9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotAllowed
from modelog_common.domain.ids import derived_id, uuid7
from modelog_common.events.entities import Entities, Loaded
from modelog_common.events.store import EventStore
from modelog_proto.registry.v1 import experiment_pb2

from modelog_training.job.commands import JobCommand, LoseAttempt, Report, StartAttempt
from modelog_training.job.decide import JOB
from modelog_training.job.events import JobEvent
from modelog_training.job.state import Job
from modelog_training.react.attempt import Attempt, Tools
from modelog_training.react.open_jobs import OpenJob, OpenJobs

ACTOR = "service:training"
ROLES = frozenset({"service"})
STOPPED = "the training service was stopped or killed while it ran"
log = structlog.get_logger()


@dataclass
class Running:
    """An attempt that is under way here; `attempt` is None until it has its fence, and while an old one is closed."""

    cpus: float
    attempt: Attempt | None = None
    cancelled: bool = False


class Runner:
    """Runs jobs until it is cancelled; a job in the middle is then run again by the next incarnation."""

    def __init__(
        self, jobs: Entities[Job, JobCommand, JobEvent], store: EventStore, tools: Tools, clock: Clock, cpus: float
    ) -> None:
        self._jobs, self._store, self._tools, self._clock = jobs, store, tools, clock
        self._cpus = cpus
        self._open = OpenJobs()
        self._running: dict[str, Running] = {}
        self._ready = False

    async def run(self) -> None:
        """Follow the events; see the jobs that an earlier incarnation left to their next attempt first."""
        position = await self._catch_up()
        try:
            async with asyncio.TaskGroup() as group:
                for job in self._open:
                    if job.fence:
                        self._begin(group, job, self._close_abandoned(job))
                group.create_task(self._start_workers(group), name="start workers")
                categories = [JOB.category]
                async for stored in self._store.subscribe(after=position, categories=categories):
                    job_or_none = self._open.apply(stored)
                    if job_or_none is not None and job_or_none.cancel:
                        self._cancel(job_or_none.job_id)
                    self._start_what_fits(group)
        finally:
            await self._tools.workers.stop()

    async def _catch_up(self) -> int:
        head = await self._store.head()
        async for stored in self._store.read_all(categories=[JOB.category], until=head):
            self._open.apply(stored)
        return head

    async def _start_workers(self, group: asyncio.TaskGroup) -> None:
        """Meanwhile jobs wait in the queue."""
        await self._tools.workers.start()
        self._ready = True
        log.info("workers are ready", cpus=self._cpus)
        self._start_what_fits(group)
        await self._tools.workers.watch()

    def _start_what_fits(self, group: asyncio.TaskGroup) -> None:
        """The first in the queue goes first: a small job does not overtake a big one that waits for CPUs."""
        if not self._ready:
            return
        free = self._cpus - sum(running.cpus for running in self._running.values())
        for job in self._open:
            if job.fence or job.job_id in self._running:
                continue
            if job.cpus > free and self._running:
                return
            self._begin(group, job, self._attempt(job))
            free -= job.cpus

    def _begin(self, group: asyncio.TaskGroup, job: OpenJob, work: Coroutine[Any, Any, None]) -> None:
        self._running[job.job_id] = Running(job.cpus, cancelled=job.cancel)

        async def to_the_end() -> None:
            try:
                await work
            finally:
                del self._running[job.job_id]
            self._start_what_fits(group)

        group.create_task(to_the_end(), name=f"job {job.job_id}")

    async def _attempt(self, job: OpenJob) -> None:
        try:
            started = (await self._tell(job, StartAttempt(job.job_id), str(uuid7()))).state
        except NotAllowed as refused:
            log.info("a job was not started", job_id=job.job_id, reason=str(refused))
            return
        submitted = started.existing(job.job_id, job.tenant)

        async def report(told: Report) -> None:
            await self._tell(job, told, derived_id(job.job_id, str(started.fence), type(told).__name__))

        attempt = Attempt(submitted, started.attempt, started.fence, self._tools, report)
        running = self._running[job.job_id]
        running.attempt = attempt
        if running.cancelled:
            attempt.cancel()
        try:
            await attempt.run()
        except NotAllowed as refused:
            log.warning("an attempt was no longer listened to", job_id=job.job_id, reason=str(refused))
        except Exception as error:
            # What nobody foresaw must not take the other jobs along, nor leave this one for ever in the middle.
            log.exception("an attempt failed unexpectedly", job_id=job.job_id, attempt=started.attempt)
            reason = f"the training service failed: {type(error).__name__}: {error}"
            await report(LoseAttempt(job.job_id, started.fence, reason))

    async def _close_abandoned(self, job: OpenJob) -> None:
        """End the run of an attempt that an earlier incarnation had under way, then the attempt."""
        left = (await self._jobs.load(job.job_id)).state
        if left.run_id:
            status = experiment_pb2.RUN_STATUS_CANCELLED if job.cancel else experiment_pb2.RUN_STATUS_FAILED
            request_id = derived_id(job.job_id, str(job.fence), "end", str(status))
            registry = self._tools.registry
            await self._tools.patience.endless(
                lambda: registry.end_run(left.run_id, status, f"attempt {left.attempt} was lost: {STOPPED}", request_id)
            )
        self._tools.folders.note(job.job_id, f"attempt {left.attempt} was lost: {STOPPED}")
        self._tools.folders.close_attempts(job.job_id)
        request_id = derived_id(job.job_id, str(job.fence), LoseAttempt.__name__)
        await self._tell(job, LoseAttempt(job.job_id, job.fence, STOPPED), request_id)

    async def _tell(self, job: OpenJob, command: JobCommand, request_id: str) -> Loaded[Job]:
        ctx = Context(self._clock.now(), ACTOR, job.tenant, request_id, job.correlation_id, roles=ROLES)
        return await self._jobs.handle(job.job_id, command, ctx)

    def _cancel(self, job_id: str) -> None:
        running = self._running.get(job_id)
        if running is not None:
            running.cancelled = True
            if running.attempt is not None:
                running.attempt.cancel()
