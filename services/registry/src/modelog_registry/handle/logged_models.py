"""Commands about logged models. Each answer says at which position the model then stands."""

from __future__ import annotations

from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.artifact import files_at
from modelog_registry.handle.experiments import Experiments
from modelog_registry.handle.references import References
from modelog_registry.handle.registered import Registered
from modelog_registry.logged_model.commands import (
    AddToLoggedModel,
    CreateLoggedModel,
    LoggedModelCommand,
    RemoveLoggedModelArtifacts,
)
from modelog_registry.logged_model.events import LoggedModelEvent
from modelog_registry.logged_model.state import LoggedModel


class LoggedModels:
    """The logged models of all tenants."""

    def __init__(
        self,
        entities: Entities[LoggedModel, LoggedModelCommand, LoggedModelEvent],
        experiments: Experiments,
        references: References,
        registered: Registered,
    ) -> None:
        self._entities, self._experiments = entities, experiments
        self._references, self._registered = references, registered

    async def create(self, command: CreateLoggedModel, ctx: Context) -> int:
        await self._experiments.place_of(command.experiment_id, "", ctx)
        await self._references.run(command.source_run_id, ctx.tenant, "source_run_id")
        return await self.handle(command, ctx)

    async def add(self, command: AddToLoggedModel, ctx: Context) -> int:
        for n, artifact in enumerate(command.artifacts):
            await self._references.artifact(artifact, f"artifacts[{n}]", ctx.tenant)
        return await self.handle(command, ctx)

    async def remove(self, command: RemoveLoggedModelArtifacts, ctx: Context) -> int:
        model_id = command.model_id
        model = (await self._entities.current(model_id)).state
        if model.created is not None and model.created.tenant == ctx.tenant:
            files = [file for path in command.paths for file in files_at(path, model.artifacts)]
            owner, made_by = f"the logged model {model_id}", model.created.source_run_id
            await self._registered.check(files, owner, made_by, model_id, ctx.tenant)
        return await self.handle(command, ctx)

    async def handle(self, command: LoggedModelCommand, ctx: Context) -> int:
        return (await self._entities.handle(command.model_id, command, ctx)).position


def model_id_of(ctx: Context) -> str:
    """The id of the logged model that a request begins, in the form that MLflow's clients know."""
    return "m-" + derived_id("logged model", ctx.tenant, ctx.request_id).replace("-", "")
