"""Commands about experiments. Each answer says at which position the experiment then stands."""

from __future__ import annotations

from dataclasses import replace

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_registry.experiment.commands import (
    AddExperimentArtifacts,
    CreateExperiment,
    DescribeExperiment,
    ExperimentCommand,
    MoveExperiment,
    RenameExperiment,
)
from modelog_registry.experiment.decide import DEFAULT
from modelog_registry.experiment.events import ExperimentEvent
from modelog_registry.experiment.state import Experiment
from modelog_registry.handle.names import Named, first_id
from modelog_registry.handle.references import References
from modelog_registry.handle.workspaces import WorkspaceHandler
from modelog_registry.names import check_name
from modelog_registry.place import DEFAULT_PLACE, Place


class Experiments:
    """All experiments of all tenants."""

    def __init__(
        self,
        entities: Entities[Experiment, ExperimentCommand, ExperimentEvent],
        named: Named[Experiment],
        workspaces: WorkspaceHandler,
        references: References,
    ) -> None:
        self._entities, self._named, self._workspaces = entities, named, workspaces
        self._references = references

    async def create(self, command: CreateExperiment, workspace: str, project: str, ctx: Context) -> tuple[str, int]:
        """The id of the experiment that has the name, and where it stands."""
        check_name(command.name, "name")
        place = await self._place(command.name, workspace, project, ctx)
        experiment_id = await self._named.id_for(command.name, ctx)
        whole = replace(command, experiment_id=experiment_id, place=place)
        return experiment_id, (await self._entities.handle(experiment_id, whole, ctx)).position

    async def move(self, experiment_id: str, workspace: str, project: str, ctx: Context) -> int:
        place = await self._workspaces.place(workspace, project, ctx.tenant)
        state = (await self._entities.current(experiment_id)).state
        state.existing(experiment_id, ctx.tenant)
        if place.workspace != state.place.workspace:
            await self._workspaces.check_leaving(state.place, ctx)
        return await self.handle(MoveExperiment(experiment_id, place), ctx)

    async def handle(self, command: ExperimentCommand, ctx: Context) -> int:
        """A command that leaves the name as it is."""
        return (await self._entities.handle(command.experiment_id, command, ctx)).position

    async def add_artifacts(self, command: AddExperimentArtifacts, ctx: Context) -> int:
        for n, artifact in enumerate(command.artifacts):
            await self._references.artifact(artifact, f"artifacts[{n}]", ctx.tenant)
        return await self.handle(command, ctx)

    async def update(self, experiment_id: str, name: str | None, description: str | None, ctx: Context) -> int:
        """What is None stays."""
        loaded = await self._entities.current(experiment_id)
        loaded.state.existing(experiment_id, ctx.tenant)
        if name is not None:
            loaded = await self._named.rename(experiment_id, RenameExperiment(experiment_id, name), name, ctx)
        if description is not None:
            also = replace(ctx, request_id=derived_id(ctx.request_id, "describe"))
            loaded = await self._entities.handle(experiment_id, DescribeExperiment(experiment_id, description), also)
        return loaded.position

    async def place_of(self, experiment_id: str, name: str, ctx: Context) -> tuple[str, str]:
        """The id and name of the experiment that a run is to be in; raises Invalid or NotAllowed when it cannot."""
        if not experiment_id and name in ("", DEFAULT):
            await self._make_default(ctx)
            return first_id(ctx.tenant, DEFAULT), DEFAULT
        found = experiment_id or await self._named.holder(name, ctx)
        state = (await self._entities.recent(found)).state if found else Experiment()
        if state.of(ctx.tenant) is None:
            field, what = ("experiment_id", experiment_id) if experiment_id else ("experiment", name)
            raise Invalid.field(field, f"there is no experiment {what!r}; create it first")
        if name and state.name != name:
            raise Invalid.field("experiment", f"is {name!r}, but {found} is {state.name!r}; give one of the two")
        if state.deleted_at is not None:
            raise NotAllowed(f"the experiment {state.name!r} is deleted; restore it first")
        return found, state.name

    async def _place(self, name: str, workspace: str, project: str, ctx: Context) -> Place:
        place = await self._workspaces.place(workspace, project, ctx.tenant)
        if name == DEFAULT and place != DEFAULT_PLACE:
            raise NotAllowed(f"{DEFAULT} is in {DEFAULT_PLACE}: runs that name no experiment go there")
        return place

    async def _make_default(self, ctx: Context) -> None:
        default = first_id(ctx.tenant, DEFAULT)
        if (await self._entities.recent(default)).state.created is None:
            await self.create(
                CreateExperiment("", DEFAULT), "", "", replace(ctx, request_id=derived_id(ctx.request_id, DEFAULT))
            )
