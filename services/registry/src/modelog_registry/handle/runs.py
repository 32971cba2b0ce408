"""Commands about runs. Each answer says at which position the run then stands.

What starts, changes or ends a run is answered with its state: questions about now wait for the tables to hold it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities, Loaded

from modelog_registry.artifact import files_at
from modelog_registry.handle.acknowledged import Acknowledged
from modelog_registry.handle.experiments import Experiments
from modelog_registry.handle.references import References
from modelog_registry.handle.registered import Registered
from modelog_registry.handle.sealing import Sealing
from modelog_registry.run.commands import EndRun, LogRun, RemoveRunArtifacts, RunCommand, StartRun, UpdateRun
from modelog_registry.run.events import RunEvent
from modelog_registry.run.state import Run


class Runs:
    """All runs of all tenants."""

    def __init__(
        self,
        entities: Entities[Run, RunCommand, RunEvent],
        experiments: Experiments,
        references: References,
        registered: Registered,
        sealing: Sealing,
        acknowledged: Acknowledged,
    ) -> None:
        self._entities, self._experiments, self._references = entities, experiments, references
        self._registered, self._sealing, self._acknowledged = registered, sealing, acknowledged

    async def start(self, command: StartRun, ctx: Context) -> Loaded[Run]:
        experiment_id, experiment = await self._experiments.place_of(command.experiment_id, command.experiment, ctx)
        await self._references.run_datasets(command.datasets, ctx.tenant)
        if command.parent_run_id == command.run_id:
            raise Invalid.field("parent_run_id", "is the run itself; name another one")
        await self._references.run(command.parent_run_id, ctx.tenant, "parent_run_id")
        command = replace(command, experiment_id=experiment_id, experiment=experiment)
        return self._noted(await self._entities.begin(command.run_id, command, ctx), ctx)

    async def start_all(self, commands: Sequence[tuple[StartRun, Context]]) -> list[Loaded[Run]]:
        """In one go; raises the first error when all have been tried."""
        tried = await asyncio.gather(*(self.start(*one) for one in commands), return_exceptions=True)
        started = [one for one in tried if not isinstance(one, BaseException)]
        for one in tried:
            if isinstance(one, BaseException):
                raise one
        return started

    async def log(self, command: LogRun, ctx: Context) -> int:
        for n, artifact in enumerate(command.artifacts):
            await self._references.artifact(artifact, f"artifacts[{n}]", ctx.tenant)
        return await self.handle(command, ctx)

    async def remove(self, command: RemoveRunArtifacts, ctx: Context) -> int:
        run_id = command.run_id
        run = (await self._entities.current(run_id)).state
        if run.of(ctx.tenant) is not None:
            files = [file for path in command.paths for file in files_at(path, run.artifacts)]
            await self._registered.check(files, f"run {run_id}", run_id, run_id, ctx.tenant)
        return await self.handle(command, ctx)

    async def end(self, command: EndRun | UpdateRun, ctx: Context) -> Loaded[Run]:
        """What was measured is vouched for before the run ends."""
        await self._sealing.seal(command.run_id)
        return self._noted(await self._entities.handle(command.run_id, command, ctx), ctx)

    async def handle(self, command: RunCommand, ctx: Context) -> int:
        return (await self._entities.handle(command.run_id, command, ctx)).position

    def _noted(self, run: Loaded[Run], ctx: Context) -> Loaded[Run]:
        self._acknowledged.note(ctx.tenant, run.position)
        return run


def run_id_of(ctx: Context) -> str:
    """The id of the run that a request starts: the same request, sent twice, starts one run."""
    return derived_id("run", ctx.tenant, ctx.request_id)
