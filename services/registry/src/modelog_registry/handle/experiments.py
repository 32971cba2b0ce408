"""Commands about experiments and runs. Each answer says at which position the entity then stands."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.experiment.commands import CreateExperiment, ExperimentCommand
from modelog_registry.experiment.events import ExperimentEvent
from modelog_registry.experiment.state import Experiment
from modelog_registry.handle.references import References
from modelog_registry.run.commands import EndRun, LogRun, RunCommand, StartRun
from modelog_registry.run.events import RunEvent
from modelog_registry.run.state import Run


class Experiments:
    """All experiments of all tenants, with their runs."""

    def __init__(
        self,
        experiments: Entities[Experiment, ExperimentCommand, ExperimentEvent],
        runs: Entities[Run, RunCommand, RunEvent],
        references: References,
    ) -> None:
        self._experiments, self._runs, self._references = experiments, runs, references

    async def create(self, command: CreateExperiment, ctx: Context) -> int:
        return (await self._experiments.handle(derived_id(ctx.tenant, command.name), command, ctx)).position

    async def start_run(self, command: StartRun, ctx: Context) -> int:
        await self._references.experiment(command.experiment, ctx.tenant)
        await self._references.run_datasets(command.datasets, ctx.tenant)
        return (await self._runs.handle(command.run_id, command, ctx)).position

    async def log_run(self, command: LogRun, ctx: Context) -> int:
        for n, artifact in enumerate(command.artifacts):
            await self._references.artifact(artifact, f"artifacts[{n}]", ctx.tenant)
        return (await self._runs.handle(command.run_id, command, ctx)).position

    async def end_run(self, command: EndRun, ctx: Context) -> int:
        return (await self._runs.handle(command.run_id, command, ctx)).position


def run_id_of(ctx: Context) -> str:
    """The id of the run that a request starts: the same request, sent twice, starts one run."""
    return derived_id("run", ctx.tenant, ctx.request_id)
