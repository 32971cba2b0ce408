"""What calls about workspaces answer with, field by field as in the contracts."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types import Record


class WorkspaceMember(Record):
    """`role` is viewer, developer, reviewer or admin."""

    user: str = ""
    role: str = ""


class Project(Record):
    """A grouping of experiments and models inside a workspace."""

    workspace: str = ""
    name: str = ""
    description: str = ""
    author: str = ""
    created_at: Optional[datetime] = None


class Workspace(Record):
    """A team's area inside a tenant."""

    name: str = ""
    description: str = ""
    access: str = ""
    members: List[WorkspaceMember] = []
    projects: List[Project] = []
    author: str = ""
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    deleted_at: Optional[datetime] = None
    position: int = 0
