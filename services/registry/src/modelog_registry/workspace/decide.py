"""The rules of workspaces: who runs one, that its last admin stays, and that nothing is deleted with things in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Forbidden, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id

from modelog_registry.place import DEFAULT
from modelog_registry.workspace.commands import (
    CreateProject,
    CreateWorkspace,
    DeleteProject,
    DeleteWorkspace,
    DescribeProject,
    RemoveMember,
    RestoreWorkspace,
    SetMember,
    UpdateWorkspace,
    WorkspaceCommand,
)
from modelog_registry.workspace.events import (
    Access,
    ProjectCreated,
    ProjectDeleted,
    ProjectDescribed,
    Role,
    WorkspaceAccessSet,
    WorkspaceCreated,
    WorkspaceDeleted,
    WorkspaceDescribed,
    WorkspaceEvent,
    WorkspaceMemberRemoved,
    WorkspaceMemberSet,
    WorkspaceRestored,
)
from modelog_registry.workspace.state import Workspace, Workspaces, evolve

# Of workspaces in a tenant, and of projects or members in a workspace: they are folded and listed as a whole.
MOST = 1000
ADMIN = "admin"


def workspaces_id(tenant: str) -> str:
    """The id of a tenant's workspaces."""
    return derived_id(tenant, "workspaces")


def decide(workspaces: Workspaces, command: WorkspaceCommand, ctx: Context) -> Sequence[WorkspaceEvent]:
    """What follows from a command, or the domain error that refuses it."""
    if isinstance(command, CreateWorkspace):
        return create(workspaces, command, ctx)
    workspace = workspaces.named(command.workspace)
    if isinstance(command, RestoreWorkspace):
        check_admin(workspace, ctx)
        return [] if workspace.deleted_at is None else [WorkspaceRestored(workspace.name, ctx.actor, ctx.now)]
    if workspace.deleted_at is not None:
        raise NotAllowed(f"the workspace {workspace.name!r} is deleted; restore it first")
    match command:
        case CreateProject() | DescribeProject() | DeleteProject():
            return of_project(workspace, command, ctx)
        case UpdateWorkspace() | SetMember() | RemoveMember() | DeleteWorkspace():
            check_admin(workspace, ctx)
            return of_workspace(workspace, command, ctx)
        case _:
            assert_never(command)


def create(workspaces: Workspaces, command: CreateWorkspace, ctx: Context) -> Sequence[WorkspaceEvent]:
    """A name is given once, also while its workspace is deleted."""
    if command.workspace in workspaces.all:
        raise AlreadyExists(f"there is a workspace {command.workspace!r} already; take another name")
    if len(workspaces.all) >= MOST:
        raise NotAllowed(f"a tenant has {MOST} workspaces at most; use projects")
    return [WorkspaceCreated(command.workspace, command.description, ctx.actor, ctx.now)]


def of_workspace(
    workspace: Workspace, command: UpdateWorkspace | SetMember | RemoveMember | DeleteWorkspace, ctx: Context
) -> Sequence[WorkspaceEvent]:
    """What is so already is not an error."""
    name = workspace.name
    match command:
        case UpdateWorkspace(_, description, access):
            anew = description is not None and description != workspace.description
            described = [WorkspaceDescribed(name, description or "", ctx.actor, ctx.now)] if anew else []
            return [*described, *set_access(workspace, access or workspace.access, ctx)]
        case SetMember(_, user, role):
            return set_member(workspace, user, role, ctx)
        case RemoveMember(_, user):
            if user not in workspace.members:
                raise NotFound(f"{user!r} is no member of the workspace {name!r}")
            _check_admin_is_left(workspace, user)
            return [WorkspaceMemberRemoved(name, user, ctx.actor, ctx.now)]
        case DeleteWorkspace(_, held):
            if name == DEFAULT:
                raise NotAllowed(f"{DEFAULT} cannot be deleted: what names no workspace is there")
            _check_empty(f"the workspace {name!r}", held)
            return [WorkspaceDeleted(name, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


def set_access(workspace: Workspace, access: Access, ctx: Context) -> Sequence[WorkspaceEvent]:
    if access is workspace.access:
        return ()
    if workspace.name == DEFAULT:
        raise NotAllowed(f"{DEFAULT} is open to the tenant: what names no workspace is there; use another workspace")
    if access is Access.RESTRICTED and not workspace.admins:
        raise NotAllowed(f"the workspace {workspace.name!r} has no admin among its members; name one first")
    return [WorkspaceAccessSet(workspace.name, access, ctx.actor, ctx.now)]


def set_member(workspace: Workspace, user: str, role: Role, ctx: Context) -> Sequence[WorkspaceEvent]:
    known = workspace.members.get(user)
    if known is role:
        return ()
    if known is None and len(workspace.members) >= MOST:
        raise NotAllowed(f"a workspace has {MOST} members at most; leave it open to the tenant")
    if role is not Role.ADMIN:
        _check_admin_is_left(workspace, user)
    return [WorkspaceMemberSet(workspace.name, user, role, ctx.actor, ctx.now)]


def of_project(
    workspace: Workspace, command: CreateProject | DescribeProject | DeleteProject, ctx: Context
) -> Sequence[WorkspaceEvent]:
    """Whoever may write in a workspace may order it; the first project stays."""
    name, project = workspace.name, command.project
    match command:
        case CreateProject(_, _, description):
            if project in workspace.projects:
                raise AlreadyExists(f"the workspace {name!r} has a project {project!r} already; take another name")
            if len(workspace.projects) >= MOST:
                raise NotAllowed(f"a workspace has {MOST} projects at most")
            return [ProjectCreated(name, project, description, ctx.actor, ctx.now)]
        case DescribeProject(_, _, description):
            same = description in (None, workspace.project(project).description)
            return () if same else [ProjectDescribed(name, project, description or "", ctx.actor, ctx.now)]
        case DeleteProject(_, _, held):
            workspace.project(project)
            if project == DEFAULT:
                raise NotAllowed(f"the project {DEFAULT} cannot be deleted: what names no project is there")
            _check_empty(f"the project {name}/{project}", held)
            return [ProjectDeleted(name, project, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


def check_admin(workspace: Workspace, ctx: Context) -> None:
    """The tenant's admins run every workspace, so none is ever without somebody who does."""
    if ADMIN in ctx.roles or workspace.members.get(ctx.actor) is Role.ADMIN:
        return
    who = ", ".join(workspace.admins) or "the tenant's admins"
    raise Forbidden(f"{ctx.actor} does not run the workspace {workspace.name!r}; ask {who}")


def _check_admin_is_left(workspace: Workspace, user: str) -> None:
    if workspace.admins == [user]:
        raise NotAllowed(f"{user} is the last admin of the workspace {workspace.name!r}; name another one first")


def _check_empty(what: str, held: int) -> None:
    if held:
        things = "1 experiment or model" if held == 1 else f"{held} experiments and models"
        raise NotAllowed(f"{what} has {things} in it; move or delete them first")


WORKSPACES: Decider[Workspaces, WorkspaceCommand, WorkspaceEvent] = Decider(
    "registry.workspace", Workspaces, decide, evolve
)
