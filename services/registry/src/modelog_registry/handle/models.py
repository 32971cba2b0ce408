"""Commands about models. Each answer says at which position the model then stands."""

from __future__ import annotations

from dataclasses import replace

from modelog_common.domain.context import Context
from modelog_common.domain.errors import AlreadyExists, Conflict, NotAllowed, NotFound
from modelog_common.domain.semver import SemanticVersion
from modelog_common.events.entities import Entities, Loaded

from modelog_registry.handle.artifacts import Artifacts
from modelog_registry.handle.names import Named
from modelog_registry.handle.references import References
from modelog_registry.handle.served import Served
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
    RenameModel,
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
from modelog_registry.names import check_model_name
from modelog_registry.policy.commands import PolicyCommand, SetPolicy
from modelog_registry.policy.decide import policy_id
from modelog_registry.policy.events import PolicyEvent
from modelog_registry.policy.state import Policy
from modelog_registry.retiring import RetirementRules
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
        named: Named[Model],
        policies: Entities[Policy, PolicyCommand, PolicyEvent],
        references: References,
        workspaces: WorkspaceHandler,
        files: Artifacts,
        served: Served,
    ) -> None:
        self._entities, self._named = entities, named
        self._policies, self._references = policies, references
        self._workspaces, self._files, self._served = workspaces, files, served

    async def register(self, command: RegisterModel, workspace: str, project: str, ctx: Context) -> int:
        check_model_name(command.name, "name")
        place = await self._workspaces.place(workspace, project, ctx.tenant)
        model_id = await self._named.id_for(command.name, ctx)
        whole = replace(command, place=place, model_id=model_id)
        return (await self._entities.handle(model_id, whole, ctx)).position

    async def rename(self, model: str, name: str, ctx: Context) -> int:
        """Refused while a deployment serves it, and for a name that another model has, be it a deleted one."""
        check_model_name(name, "new_name")
        holder = await self._named.id_of(name, ctx.tenant)
        held = await self._entities.current(holder) if holder else None
        if held is not None and _renamed_by(ctx.request_id, model, held.state):
            return held.position
        model_id = await self._known(model, ctx.tenant)
        if held is not None and held.state.gone is not None:
            raise AlreadyExists(
                f"the name {name!r} is that of a model that is deleted ({held.state.gone}); registering it again goes "
                "on with it; take another name"
            )
        deployments = await self._served(model) if holder != model_id else ()
        command = RenameModel(model, name, tuple(deployments))
        return (await self._named.rename(model_id, command, name, ctx)).position

    async def move(self, model: str, workspace: str, project: str, ctx: Context) -> int:
        place = await self._workspaces.place(workspace, project, ctx.tenant)
        state = (await self._entities.current(await self._known(model, ctx.tenant))).state
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

    async def review_retirements(self, model_id: str, policy: RetirementRules, ctx: Context) -> tuple[bool, int]:
        """Whether the rules say anything new of a model's versions, and where the model then stands."""
        before = (await self._entities.current(model_id)).position
        after = (await self._entities.handle(model_id, ReviewRetirements(policy), ctx)).position
        return after != before, after

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
        model_id = await self._known(command.model, ctx.tenant)
        policy = await self._policy(model_id, ctx.tenant)
        return (await self._entities.handle(model_id, replace(command, policy=policy), ctx)).position

    async def refusal(self, command: ApplyChange, ctx: Context, until: int | None) -> str:
        """Why a change request could not be applied as of a position; empty when it could. Raises NotFound."""
        model_id = await self._known_as_of(command.model, ctx.tenant, until)
        policy = await self._policy(model_id, ctx.tenant, until)
        model = (await self._entities.load(model_id, until=until)).state
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

    async def _policy(self, model_id: str, tenant: str, until: int | None = None) -> PolicyVersion:
        """The rules that decide over a model: its workspace's own, else the tenant's."""
        place = (await self._entities.load(model_id, until=until)).state.place
        own = (await self._policies.load(policy_id(tenant, place.workspace), until=until)).state
        if own.last is not None:
            return own.in_force
        return (await self._policies.load(policy_id(tenant), until=until)).state.in_force

    async def _handle(self, name: str, command: ModelCommand, ctx: Context) -> Loaded[Model]:
        return await self._entities.handle(await self._known(name, ctx.tenant), command, ctx)

    async def _known(self, name: str, tenant: str) -> str:
        """The id of a model by its name; raises NotFound."""
        model_id = await self._named.id_of(name, tenant)
        if not model_id:
            raise NotFound(f"there is no model {name!r}; register it first")
        return model_id

    async def _known_as_of(self, name: str, tenant: str, until: int | None) -> str:
        """The same, of what was called so as of a position."""
        for model_id in await self._named.ids_ever(name, tenant):
            if (await self._entities.load(model_id, until=until)).state.name == name:
                return model_id
        raise NotFound(f"there is no model {name!r}")


def _renamed_by(request_id: str, old_name: str, model: Model) -> bool:
    """Whether it was this request that gave the model its name."""
    renamed = model.renamed
    return renamed is not None and (renamed.request_id, renamed.old_name) == (request_id, old_name)


def _registered_by(request_id: str, model: Model, asked: SemanticVersion | None) -> SemanticVersion | str | None:
    """What the request registered; what it asked for, when the same content stood there already."""
    version = model.version_of_request(request_id)
    return asked if version is None else version.content.version
