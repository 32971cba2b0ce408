"""What happens to the workspaces of a tenant. All of them are in one stream, so that each name is one workspace's."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from modelog_common.events.types import event


class Access(StrEnum):
    """Who may look into a workspace: the whole tenant, or its members."""

    OPEN = "open"
    RESTRICTED = "restricted"


class Role(StrEnum):
    """What a member may do in a restricted workspace, as far as their roles in the tenant allow it, too."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    ADMIN = "admin"


@event("registry.WorkspaceCreated")
class WorkspaceCreated:
    """A workspace began, open to the tenant; who made it is its admin."""

    workspace: str
    description: str
    by: str
    at: datetime


@event("registry.WorkspaceDescribed")
class WorkspaceDescribed:
    """It is described otherwise from now on."""

    workspace: str
    description: str
    by: str
    at: datetime


@event("registry.WorkspaceAccessSet")
class WorkspaceAccessSet:
    """Who may look into it was decided anew."""

    workspace: str
    access: Access
    by: str
    at: datetime


@event("registry.WorkspaceMemberSet")
class WorkspaceMemberSet:
    """A user became a member, or has another role from now on."""

    workspace: str
    user: str
    role: Role
    by: str
    at: datetime


@event("registry.WorkspaceMemberRemoved")
class WorkspaceMemberRemoved:
    """A membership ended."""

    workspace: str
    user: str
    by: str
    at: datetime


@event("registry.WorkspaceDeleted")
class WorkspaceDeleted:
    """It was hidden; it keeps its name."""

    workspace: str
    by: str
    at: datetime


@event("registry.WorkspaceRestored")
class WorkspaceRestored:
    """The deletion was taken back."""

    workspace: str
    by: str
    at: datetime


@event("registry.ProjectCreated")
class ProjectCreated:
    """A workspace got a project."""

    workspace: str
    project: str
    description: str
    by: str
    at: datetime


@event("registry.ProjectDescribed")
class ProjectDescribed:
    """It is described otherwise from now on."""

    workspace: str
    project: str
    description: str
    by: str
    at: datetime


@event("registry.ProjectDeleted")
class ProjectDeleted:
    """It was taken away; its name is free again."""

    workspace: str
    project: str
    by: str
    at: datetime


WorkspaceEvent = (
    WorkspaceCreated
    | WorkspaceDescribed
    | WorkspaceAccessSet
    | WorkspaceMemberSet
    | WorkspaceMemberRemoved
    | WorkspaceDeleted
    | WorkspaceRestored
    | ProjectCreated
    | ProjectDescribed
    | ProjectDeleted
)
