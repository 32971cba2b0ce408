"""Commands about models. Each answer says at which position the model then stands."""

from __future__ import annotations

from dataclasses import replace

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, NotAllowed
from modelog_common.domain.ids import derived_id
from modelog_common.domain.semver import SemanticVersion
from modelog_common.events.entities import Entities, Loaded

from modelog_registry.handle.artifacts import Artifacts
from modelog_registry.handle.references import References
from modelog_registry.handle.workspaces import WorkspaceHandler
from modelog_registry.model.card import EditCard
from modelog_registry.model.change_commands import (
    ApplyChange,
    AskReviewers,
    AttachEvidence,
    CommentChange,
    RequestChange,
    ReviewChange,
    WithdrawChange,
)
from modelog_registry.model.commands import (
    DeleteAlias,
    DeleteModel,
    DeleteVersion,
    ModelCommand,
    MoveModel,
    PromoteVersion,
    RegisterModel,
    RegisterVersion,
    ReviewVersion,
    SetAlias,
    TagModel,
    TagVersion,
    UpdateModel,
    UpdateVersion,
)
from modelog_registry.model.events import ModelEvent
from modelog_registry.model.retired import ObjectToRetirement, ReviewRetirements, SetSla
from modelog_registry.model.signed import SignVersion
from modelog_registry.model.state import Model
from modelog_registry.policy.commands import PolicyCommand, SetPolicy
from modelog_registry.policy.decide import policy_id
from modelog_registry.policy.events import PolicyEvent
from modelog_registry.policy.state import Policy
from modelog_registry.rules import PolicyVersion

Change = (
    ReviewVersion
    | UpdateModel
    | TagModel
    | DeleteModel
    | UpdateVersion
    | TagVersion
    | DeleteVersion
    | SetAlias
    | DeleteAlias
    | EditCard
    | SetSla
    | ReviewRetirements
    | ObjectToRetirement
    | AttachEvidence
    | AskReviewers
    | CommentChange
    | ReviewChange
    | WithdrawChange
)


class Models:
    """All models of all tenants."""

    def __init__(
        self,
        entities: Entities[Model, ModelCommand, ModelEvent],
        policies: Entities[Policy, PolicyCommand, PolicyEvent],
        references: References,
        workspaces: WorkspaceHandler,
        files: Artifacts,
    ) -> None:
        self._entities, self._policies, self._references = entities, policies, references
        self._workspaces, self._files = workspaces, files

    async def register(self, command: RegisterModel, workspace: str, project: str, ctx: Context) -> int:
        place = await self._workspaces.place(workspace, project, ctx.tenant)
        return (await self._handle(command.name, replace(command, place=place), ctx)).position

    async def move(self, model: str, workspace: str, project: str, ctx: Context) -> int:
        place = await self._workspaces.place(workspace, project, ctx.tenant)
        state = (await self._entities.current(derived_id(ctx.tenant, model))).state
        if place.workspace != state.place.workspace:
            await self._workspaces.check_leaving(state.place, ctx)
        return (await self._handle(model, MoveModel(model, place), ctx)).position

    async def register_version(self, command: RegisterVersion, from_mlmodel: bool, ctx: Context) -> tuple[str, int]:
        """The version that this request registered, now or before, and the position."""
        await self._references.run(command.run_id, ctx.tenant)
        await self._references.datasets(command.datasets, ctx.tenant)
        if command.artifact is not None:
            await self._references.artifact(command.artifact, "artifact", ctx.tenant)
        for n, artifact in enumerate(command.artifacts):
            await self._references.artifact(artifact, f"artifacts[{n}]", ctx.tenant)
        if from_mlmodel:
            # A start need not load it: it reads YAML.
            from modelog_registry.handle.described import described

            command = await described(command, self._files, ctx.tenant)
        after = await self._handle(command.model, command, ctx)
        return str(_registered_by(ctx.request_id, after.state, command.version)), after.position

    async def change(self, command: Change, ctx: Context) -> int:
        """Anything else that is asked of a model that is there."""
        return (await self._handle(command.model, command, ctx)).position

    async def position(self, name: str, tenant: str) -> int:
        """Where the last event of a model stands."""
        return (await self._entities.current(derived_id(tenant, name))).position

    async def sign(self, command: SignVersion, ctx: Context) -> int:
        """Keep a signature whose files were uploaded before."""
        await self._references.artifact(command.signature, "signature", ctx.tenant)
        for n, file in enumerate(command.files):
            await self._references.artifact(file, f"files[{n}]", ctx.tenant)
        return (await self._handle(command.model, command, ctx)).position

    async def request_change(self, command: RequestChange, ctx: Context) -> tuple[int, int]:
        """The number of the change request that this request opened, now or before, and the position."""
        after = await self._handle(command.model, command, ctx)
        opened = after.state.change_of_request(ctx.request_id)
        return opened.requested.change if opened is not None else 0, after.position

    async def promote(self, command: PromoteVersion | ApplyChange, ctx: Context) -> int:
        """By the rules that are in force when it is asked."""
        policy = await self._policy(command.model, ctx.tenant)
        return (await self._handle(command.model, replace(command, policy=policy), ctx)).position

    async def refusal(self, command: ApplyChange, ctx: Context, until: int | None) -> str:
        """Why a change request could not be applied as of a position; empty when it could. Raises NotFound."""
        policy = await self._policy(command.model, ctx.tenant, until)
        model = (await self._entities.load(derived_id(ctx.tenant, command.model), until=until)).state
        try:
            self._entities.decider.decide(model, replace(command, policy=policy), ctx)
        except (NotAllowed, Conflict) as refused:
            return str(refused)
        return ""

    async def set_policy(self, command: SetPolicy, ctx: Context) -> int:
        """Put rules in force; the position at which the policy then stands, 0 when it is still the first."""
        if command.workspace:
            await self._workspaces.check_admin(command.workspace, ctx)
        return (await self._policies.handle(policy_id(ctx.tenant, command.workspace), command, ctx)).position

    async def _policy(self, model: str, tenant: str, until: int | None = None) -> PolicyVersion:
        """The rules that decide over a model: its workspace's own, else the tenant's."""
        place = (await self._entities.load(derived_id(tenant, model), until=until)).state.place
        own = (await self._policies.load(policy_id(tenant, place.workspace), until=until)).state
        if own.last is not None:
            return own.in_force
        return (await self._policies.load(policy_id(tenant), until=until)).state.in_force

    async def _handle(self, name: str, command: ModelCommand, ctx: Context) -> Loaded[Model]:
        return await self._entities.handle(derived_id(ctx.tenant, name), command, ctx)


def _registered_by(request_id: str, model: Model, asked: SemanticVersion | None) -> SemanticVersion | str | None:
    """What the request registered; what it asked for, when the same content stood there already."""
    version = model.version_of_request(request_id)
    return asked if version is None else version.content.version
