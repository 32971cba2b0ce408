"""Commands about jobs, after a look at what they refer to."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.events.entities import Entities

from modelog_training.handle.files import Files
from modelog_training.job.commands import CancelJob, JobCommand, SubmitJob
from modelog_training.job.events import JobEvent
from modelog_training.job.state import Job
from modelog_training.registry import Registry

# A run and a version take 100 tags, of which the platform adds up to three.
MOST_TAGS = 97


class Jobs:
    """All jobs. Jobs run in the name of the service, so only for its own tenant."""

    def __init__(
        self,
        entities: Entities[Job, JobCommand, JobEvent],
        registry: Registry,
        files: Files,
        cpus: float,
        tenant: str,
    ) -> None:
        self._entities, self._registry, self._files = entities, registry, files
        self._cpus, self._tenant = cpus, tenant

    async def submit(self, command: SubmitJob, ctx: Context) -> int:
        """Queue a job; returns the position. Raises Invalid, naming the field that asks for what there is not."""
        self._check_limits(command, ctx)
        if command.source_digest:
            try:
                await self._files.fetch(command.source_digest)
            except NotFound as missing:
                raise Invalid.field("spec.source_digest", f"{missing}; upload it first") from None
        for n, ref in enumerate(command.datasets):
            try:
                await self._registry.dataset(ref)
            except NotFound as missing:
                raise Invalid.field(f"spec.datasets[{n}]", f"{missing}; register it first") from None
        for n, model in enumerate(command.models):
            try:
                await self._registry.model_version(model)
            except NotFound as missing:
                raise Invalid.field(f"spec.models[{n}]", f"{missing}; register it first") from None
        return (await self._entities.handle(command.job_id, command, ctx)).position

    async def cancel(self, command: CancelJob, ctx: Context) -> int:
        return (await self._entities.handle(command.job_id, command, ctx)).position

    async def has_ended(self, job_id: str, tenant: str) -> bool:
        """Raises NotFound when there is no such job."""
        job = (await self._entities.load(job_id)).state
        job.existing(job_id, tenant)
        return job.status.ended

    def _check_limits(self, command: SubmitJob, ctx: Context) -> None:
        if ctx.tenant != self._tenant:
            raise Invalid.field("spec", f"this training service runs jobs of the tenant {self._tenant!r} only")
        if command.resources.cpus > self._cpus:
            raise Invalid.field(
                "spec.resources.cpus", f"is {command.resources.cpus:g}, but the cluster has {self._cpus:g}"
            )
        if len(command.tags) > MOST_TAGS:
            raise Invalid.field("spec.tags", f"has {len(command.tags)} entries; allowed: {MOST_TAGS}")
