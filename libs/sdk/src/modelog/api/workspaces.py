"""Workspaces, their members and their projects."""

from __future__ import annotations

from typing import List, Optional
from urllib.parse import quote

from modelog.places import Workspace
from modelog.transport import Transport
from modelog.types import Record


class _Workspaces(Record):
    workspaces: List[Workspace] = []


class Workspaces:
    """Teams' areas. "default", with a project "default", is always there: what names none is in it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, workspace: str, description: str = "") -> Workspace:
        """Make a workspace; who asks is its admin."""
        body = {"workspace": workspace, "description": description}
        return self._transport.post("/api/v1/workspaces", Workspace, body)

    def get(self, workspace: str, *, as_of: Optional[str] = None) -> Workspace:
        """A workspace with its members and projects."""
        return self._transport.get(_at(workspace), Workspace, as_of=as_of)

    def list(self, *, with_deleted: bool = False, as_of: Optional[str] = None) -> List[Workspace]:
        """All workspaces that the caller may look into, by name."""
        asked = "true" if with_deleted else None
        return self._transport.get("/api/v1/workspaces", _Workspaces, with_deleted=asked, as_of=as_of).workspaces

    def update(self, workspace: str, *, description: Optional[str] = None, access: str = "") -> Workspace:
        """Describe a workspace anew, or say who may look into it: the tenant (open), or members (restricted)."""
        wanted = f"WORKSPACE_ACCESS_{access.upper()}" if access else None
        body = {"description": description, "access": wanted}
        return self._transport.post(_at(workspace, "update"), Workspace, body)

    def set_member(self, workspace: str, user: str, role: str) -> Workspace:
        """Make a user a member with a role of viewer, developer, reviewer, admin."""
        return self._transport.post(_at(workspace, "members"), Workspace, {"user": user, "role": role})

    def remove_member(self, workspace: str, user: str) -> Workspace:
        """End a membership."""
        return self._transport.post(_at(workspace, "members", user, "remove"), Workspace, {})

    def delete(self, workspace: str) -> Workspace:
        """Hide a workspace that has neither experiments nor models in it."""
        return self._transport.post(_at(workspace, "delete"), Workspace, {})

    def restore(self, workspace: str) -> Workspace:
        """Take a deletion back."""
        return self._transport.post(_at(workspace, "restore"), Workspace, {})

    def create_project(self, workspace: str, project: str, description: str = "") -> Workspace:
        """Add a project to a workspace."""
        body = {"project": project, "description": description}
        return self._transport.post(_at(workspace, "projects"), Workspace, body)

    def update_project(self, workspace: str, project: str, *, description: Optional[str] = None) -> Workspace:
        """Describe a project anew."""
        path = _at(workspace, "projects", project, "update")
        return self._transport.post(path, Workspace, {"description": description})

    def delete_project(self, workspace: str, project: str) -> Workspace:
        """Take a project away that has neither experiments nor models in it."""
        return self._transport.post(_at(workspace, "projects", project, "delete"), Workspace, {})


def _at(*parts: str) -> str:
    return "/".join(["/api/v1/workspaces", *(quote(part, safe="") for part in parts)])
