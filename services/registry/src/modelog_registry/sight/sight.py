"""What the caller may see: checks requests by what they name, and narrows every query to what is in sight.

A restricted workspace is not there for who is no member. Its members may do there what their role in it allows, as far
as their roles in the tenant do. The tenant's admins, and services, see all. What counts is who is a member now, also
for questions about the past.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from modelog_common.domain.errors import AlreadyExists, Forbidden, NotFound
from modelog_common.events.entities import Entities
from modelog_common.read.tables import TemporalTable
from modelog_common.rpc.call import call_or_none
from modelog_common.security.permissions import ADMIN, permissions_of
from modelog_common.security.tokens import Identity
from sqlalchemy import ColumnElement, select

from modelog_registry.experiment.state import Experiment
from modelog_registry.handle.names import Named, Names, first_id
from modelog_registry.link.decide import Link
from modelog_registry.logged_model.state import LoggedModel
from modelog_registry.model.state import Model
from modelog_registry.read.places import EXPERIMENT, MODEL, PLACES
from modelog_registry.run.state import Run
from modelog_registry.sight.named import Kind, named
from modelog_registry.workspace.decide import workspaces_id
from modelog_registry.workspace.state import Workspace, Workspaces

# What another process decided about workspaces is known here after so long.
FRESH_S = 1.0


@dataclass(frozen=True)
class Looked:
    """The entities that say where something is."""

    workspaces: Entities[Workspaces, Any, Any]
    experiments: Entities[Experiment, Any, Any]
    names: Names
    named_models: Named[Model]
    runs: Entities[Run, Any, Any]
    models: Entities[Model, Any, Any]
    logged_models: Entities[LoggedModel, Any, Any]
    links: Entities[Link, Any, Any]


class Sight:
    """What is in sight of whoever makes the current call; work that is no call's sees everything."""

    def __init__(self, looked: Looked) -> None:
        self._looked = looked
        self._known_at: dict[str, float] = {}

    async def hidden(self) -> frozenset[str]:
        """The workspaces that are not there for the caller."""
        who = _narrowed()
        if who is None:
            return frozenset()
        return frozenset(w.name for w in await self._restricted(who.tenant) if who.user not in w.members)

    async def rows(self, table: TemporalTable, tenant: str) -> Sequence[ColumnElement[bool]]:
        """What rows of a table must be to be in sight."""
        hidden = await self.hidden()
        if not hidden:
            return ()
        c, p = table.table.c, PLACES.table.c
        holding = [(EXPERIMENT, c.experiment_id)] if "experiment_id" in c else []
        # A model by its id: of the past it may be called otherwise, or another one so.
        holding += [(MODEL, c.entity)] if "entity" in c else []
        out = [p.tenant == tenant, PLACES.at(None), p.workspace.in_(sorted(hidden))]
        return [column.not_in(select(p.thing).where(*out, p.kind == kind)) for kind, column in holding]

    async def check(self, request: Message, permission: str) -> None:
        """Raises NotFound for what the request names and the caller may not see, Forbidden for what they may not do."""
        who = _narrowed()
        restricted = {w.name: w for w in await self._restricted(who.tenant)} if who is not None else {}
        if who is None or not restricted:
            return
        for kind, name in named(request):
            for workspace in await self._workspaces_of(kind, name, who.tenant):
                if workspace in restricted:
                    _admit(who, restricted[workspace], kind, name, permission)

    async def sees(self, kind: Kind, name: str) -> bool:
        """Whether the caller may see one thing; what is not there is nobody's secret."""
        who, hidden = _narrowed(), await self.hidden()
        if who is None or not hidden:
            return True
        if kind in (Kind.MODEL, Kind.VERSION):
            # Other services know models by the names of then.
            ever = await self._looked.named_models.ids_ever(name.partition("/")[0], who.tenant)
            return not any([hidden & set(await self._of_model_id(model_id)) for model_id in ever])
        return not hidden & set(await self._workspaces_of(kind, name, who.tenant))

    async def sees_stream(self, stream: str) -> bool:
        """Whether the caller may see the events of a stream of the log."""
        who, hidden = _narrowed(), await self.hidden()
        if who is None or not hidden:
            return True
        category, _, entity_id = stream.partition("-")
        match category:
            case "registry.experiment":
                inside = await self._of_experiment(entity_id, who.tenant)
            case "registry.run":
                inside = await self._of_run(entity_id, who.tenant)
            case "registry.loggedmodel":
                inside = await self._workspaces_of(Kind.LOGGED_MODEL, entity_id, who.tenant)
            case "registry.model":
                inside = await self._of_model_id(entity_id)
            case "registry.link":
                inside = await self._of_link(entity_id, who.tenant)
            case "registry.name":
                # What is free tells who had it.
                taken = await self._looked.names.taken(entity_id)
                if taken is None:
                    return False
                of_model = taken.kind == MODEL
                inside = await (
                    self._of_model_id(taken.owner) if of_model else self._of_experiment(taken.owner, who.tenant)
                )
            case "registry.workspace":
                # All workspaces of the tenant are in it.
                return False
            case _:
                return True
        return not hidden & set(inside)

    async def _restricted(self, tenant: str) -> Sequence[Workspace]:
        entity, now = workspaces_id(tenant), asyncio.get_running_loop().time()
        fresh = now - self._known_at.get(tenant, -FRESH_S) < FRESH_S
        look = self._looked.workspaces.recent if fresh else self._looked.workspaces.current
        if not fresh:
            self._known_at[tenant] = now
        return (await look(entity)).state.restricted

    async def _workspaces_of(self, kind: Kind, name: str, tenant: str) -> Sequence[str]:
        """Where things are that a field names; nothing for what is not there."""
        match kind:
            case Kind.WORKSPACE:
                return [name]
            case Kind.EXPERIMENT:
                return await self._of_experiment(name, tenant)
            case Kind.EXPERIMENT_NAME | Kind.NEW_EXPERIMENT:
                owner = await self._looked.names.owner(name, tenant)
                return await self._of_experiment(owner or first_id(tenant, name), tenant)
            case Kind.RUN | Kind.RUNS:
                return [w for run_id in name.split(",") for w in await self._of_run(run_id, tenant)]
            case Kind.MODEL | Kind.NEW_MODEL | Kind.VERSION:
                return await self._of_model(name.partition("/")[0], tenant)
            case Kind.LINK:
                return await self._of_link(name, tenant)
            case Kind.LOGGED_MODEL:
                created = (await self._looked.logged_models.recent(name)).state.created
                mine = created is not None and created.tenant == tenant
                return await self._of_experiment(created.experiment_id, tenant) if created and mine else ()

    async def _of_experiment(self, experiment_id: str, tenant: str) -> Sequence[str]:
        state = (await self._looked.experiments.current(experiment_id)).state
        return [state.place.workspace] if state.of(tenant) is not None else ()

    async def _of_run(self, run_id: str, tenant: str) -> Sequence[str]:
        started = (await self._looked.runs.recent(run_id)).state.of(tenant)
        return await self._of_experiment(started.experiment_id, tenant) if started is not None else ()

    async def _of_link(self, link_id: str, tenant: str) -> Sequence[str]:
        made = (await self._looked.links.current(link_id)).state.made
        if made is None or made.tenant != tenant:
            return ()
        if made.shared.model_id:
            return await self._of_model_id(made.shared.model_id)
        return await self._of_experiment(made.shared.experiment_id, tenant)

    async def _of_model(self, name: str, tenant: str) -> Sequence[str]:
        """Also of one that was deleted: its history is still there."""
        return await self._of_model_id(await self._looked.named_models.id_of(name, tenant))

    async def _of_model_id(self, model_id: str) -> Sequence[str]:
        state = (await self._looked.models.current(model_id)).state if model_id else Model()
        return [state.place.workspace] if state.registered is not None else ()


def _narrowed() -> Identity | None:
    """Who makes the current call; None when they see everything."""
    call = call_or_none()
    return None if call is None or call.identity.may(ADMIN) else call.identity


def _admit(who: Identity, workspace: Workspace, kind: Kind, name: str, permission: str) -> None:
    role = workspace.members.get(who.user)
    if role is not None:
        if permission not in permissions_of([role]):
            raise Forbidden(
                f"{who.user} is {role} in the workspace {workspace.name!r}, which lacks the permission {permission}; "
                f"ask {', '.join(workspace.admins)}"
            )
        return
    match kind:
        case Kind.NEW_EXPERIMENT | Kind.NEW_MODEL:
            raise AlreadyExists(f"the name {name!r} is taken in this tenant; take another one")
        case Kind.WORKSPACE:
            raise NotFound(f"there is no workspace {name!r}")
        case Kind.MODEL | Kind.VERSION:
            raise NotFound(f"there is no model {name.partition('/')[0]!r}")
        case Kind.LINK:
            raise NotFound(f"there is no link {name!r}")
        case Kind.LOGGED_MODEL:
            raise NotFound(f"there is no logged model {name!r}")
        case Kind.RUN | Kind.RUNS:
            raise NotFound(f"there is no run {name!r}")
        case _:
            raise NotFound(f"there is no experiment {name!r}")
