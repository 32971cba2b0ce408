"""Commands about logged models. Each answer says at which position the model then stands."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.handle.experiments import Experiments
from modelog_registry.handle.references import References
from modelog_registry.logged_model.commands import AddToLoggedModel, CreateLoggedModel, LoggedModelCommand
from modelog_registry.logged_model.events import LoggedModelEvent
from modelog_registry.logged_model.state import LoggedModel


class LoggedModels:
    """The logged models of all tenants."""

    def __init__(
        self,
        entities: Entities[LoggedModel, LoggedModelCommand, LoggedModelEvent],
        experiments: Experiments,
        references: References,
    ) -> None:
        self._entities, self._experiments, self._references = entities, experiments, references

    async def create(self, command: CreateLoggedModel, ctx: Context) -> int:
        await self._experiments.place_of(command.experiment_id, "", ctx)
        await self._references.run(command.source_run_id, ctx.tenant, "source_run_id")
        return await self.handle(command, ctx)

    async def add(self, command: AddToLoggedModel, ctx: Context) -> int:
        for n, artifact in enumerate(command.artifacts):
            await self._references.artifact(artifact, f"artifacts[{n}]", ctx.tenant)
        return await self.handle(command, ctx)

    async def handle(self, command: LoggedModelCommand, ctx: Context) -> int:
        return (await self._entities.handle(command.model_id, command, ctx)).position


def model_id_of(ctx: Context) -> str:
    """The id of the logged model that a request begins, in the form that MLflow's clients know."""
    return "m-" + derived_id("logged model", ctx.tenant, ctx.request_id).replace("-", "")
