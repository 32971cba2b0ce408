"""Commands about workspaces. Each answer says at which position all workspaces of the tenant then stand."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.events.entities import Entities

from modelog_registry.place import DEFAULT, Place
from modelog_registry.workspace.commands import DeleteProject, DeleteWorkspace, WorkspaceCommand
from modelog_registry.workspace.decide import check_admin, workspaces_id
from modelog_registry.workspace.events import Access, WorkspaceEvent
from modelog_registry.workspace.state import Workspaces


class Held(Protocol):
    """How many experiments and models are in a workspace, or in one of its projects."""

    def __call__(self, tenant: str, workspace: str, project: str = "") -> Awaitable[int]: ...


class WorkspaceHandler:
    """The workspaces of all tenants."""

    def __init__(self, entities: Entities[Workspaces, WorkspaceCommand, WorkspaceEvent], held: Held) -> None:
        self._entities, self._held = entities, held

    async def handle(self, command: WorkspaceCommand, ctx: Context) -> int:
        match command:
            case DeleteWorkspace(workspace):
                command = replace(command, held=await self._held(ctx.tenant, workspace))
            case DeleteProject(workspace, project):
                command = replace(command, held=await self._held(ctx.tenant, workspace, project))
        return (await self._entities.handle(workspaces_id(ctx.tenant), command, ctx)).position

    async def check_admin(self, workspace: str, ctx: Context) -> None:
        """Raises NotFound for a workspace that is not there, Forbidden for who does not run it."""
        check_admin((await self._entities.current(workspaces_id(ctx.tenant))).state.named(workspace), ctx)

    async def check_leaving(self, place: Place, ctx: Context) -> None:
        """Raises Forbidden when somebody else than an admin would take a thing out of a restricted workspace."""
        workspace = (await self._entities.current(workspaces_id(ctx.tenant))).state.all.get(place.workspace)
        if workspace is not None and workspace.access is Access.RESTRICTED:
            check_admin(workspace, ctx)

    async def place(self, workspace: str, project: str, tenant: str) -> Place:
        """Where something is to be; raises Invalid, naming the field, or NotAllowed when nothing can be there."""
        named = Place(workspace or DEFAULT, project or DEFAULT)
        if named == Place():
            return named
        known = (await self._entities.current(workspaces_id(tenant))).state.all.get(named.workspace)
        if known is None:
            raise Invalid.field("workspace", f"there is no workspace {named.workspace!r}; make it first")
        if known.deleted_at is not None:
            raise NotAllowed(f"the workspace {named.workspace!r} is deleted; restore it first")
        try:
            known.project(named.project)
        except NotFound as missing:
            raise Invalid.field("project", str(missing)) from None
        return named
