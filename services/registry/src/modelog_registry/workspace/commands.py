"""What may be asked of a tenant's workspaces."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_registry.workspace.events import Access, Role


@dataclass(frozen=True)
class CreateWorkspace:
    """Make a workspace, whose admin is who asks."""

    workspace: str
    description: str = ""


@dataclass(frozen=True)
class UpdateWorkspace:
    """Describe it otherwise, or say anew who may look into it; None leaves it."""

    workspace: str
    description: str | None = None
    access: Access | None = None


@dataclass(frozen=True)
class SetMember:
    """Make somebody a member, or give a member another role."""

    workspace: str
    user: str
    role: Role


@dataclass(frozen=True)
class RemoveMember:
    """End a membership."""

    workspace: str
    user: str


@dataclass(frozen=True)
class DeleteWorkspace:
    """Hide it; `held` is how many experiments and models are in it."""

    workspace: str
    held: int = 0


@dataclass(frozen=True)
class RestoreWorkspace:
    """Take the deletion back."""

    workspace: str


@dataclass(frozen=True)
class CreateProject:
    """Add a project."""

    workspace: str
    project: str
    description: str = ""


@dataclass(frozen=True)
class DescribeProject:
    """Describe it otherwise; None leaves it."""

    workspace: str
    project: str
    description: str | None = None


@dataclass(frozen=True)
class DeleteProject:
    """Take it away; `held` is how many experiments and models are in it."""

    workspace: str
    project: str
    held: int = 0


WorkspaceCommand = (
    CreateWorkspace
    | UpdateWorkspace
    | SetMember
    | RemoveMember
    | DeleteWorkspace
    | RestoreWorkspace
    | CreateProject
    | DescribeProject
    | DeleteProject
)
