"""The workspaces of a tenant as their events left them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_registry.place import DEFAULT
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


@dataclass(frozen=True)
class Project:
    """A project; nobody made the first one of a workspace."""

    name: str = DEFAULT
    description: str = ""
    author: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True)
class Workspace:
    """A workspace; nobody made the one that every tenant begins with."""

    name: str = DEFAULT
    description: str = ""
    access: Access = Access.OPEN
    members: Mapping[str, Role] = field(default_factory=dict)
    projects: Mapping[str, Project] = field(default_factory=lambda: {DEFAULT: Project()})
    author: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def admins(self) -> list[str]:
        """The members who may say who else is one, by name."""
        return sorted(user for user, role in self.members.items() if role is Role.ADMIN)

    def project(self, name: str) -> Project:
        """One project; raises NotFound, which names it."""
        found = self.projects.get(name)
        if found is None:
            raise NotFound(f"the workspace {self.name!r} has no project {name!r}; it has {', '.join(self.projects)}")
        return found


@dataclass(frozen=True)
class Workspaces:
    """All of a tenant's, the deleted ones too."""

    all: Mapping[str, Workspace] = field(default_factory=lambda: {DEFAULT: Workspace()})

    @cached_property
    def restricted(self) -> Sequence[Workspace]:
        """Those that are not open to the tenant."""
        return [w for w in self.all.values() if w.access is Access.RESTRICTED]

    def named(self, name: str) -> Workspace:
        """One workspace; raises NotFound, which names it."""
        found = self.all.get(name)
        if found is None:
            raise NotFound(f"there is no workspace {name!r}")
        return found


def evolve(workspaces: Workspaces, event: WorkspaceEvent) -> Workspaces:
    """Fold one event."""
    before = workspaces.all.get(event.workspace, Workspace(event.workspace))
    after = replace(_evolve(before, event), updated_at=event.at)
    return Workspaces({**workspaces.all, event.workspace: after})


def _evolve(workspace: Workspace, event: WorkspaceEvent) -> Workspace:
    match event:
        case WorkspaceCreated(workspace=name, description=description, by=by, at=at):
            return Workspace(name, description, members={by: Role.ADMIN}, author=by, created_at=at)
        case WorkspaceDescribed(description=description):
            return replace(workspace, description=description)
        case WorkspaceAccessSet(access=access):
            return replace(workspace, access=access)
        case WorkspaceMemberSet(user=user, role=role):
            return replace(workspace, members={**workspace.members, user: role})
        case WorkspaceMemberRemoved(user=user):
            return replace(workspace, members={u: role for u, role in workspace.members.items() if u != user})
        case WorkspaceDeleted(at=at):
            return replace(workspace, deleted_at=at)
        case WorkspaceRestored():
            return replace(workspace, deleted_at=None)
        case ProjectCreated(project=name, description=description, by=by, at=at):
            return _with(workspace, Project(name, description, by, at))
        case ProjectDescribed(project=name, description=description):
            return _with(workspace, replace(workspace.projects[name], description=description))
        case ProjectDeleted(project=name):
            return replace(workspace, projects={n: p for n, p in workspace.projects.items() if n != name})
        case _:
            assert_never(event)


def _with(workspace: Workspace, project: Project) -> Workspace:
    return replace(workspace, projects={**workspace.projects, project.name: project})
