"""What calls about workspaces answer with, field by field as in the contracts."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types import Experiment, ModelVersion, Record, Run


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


class Link(Record):
    """A link that shows an experiment, a run or a version; its token is not in it."""

    id: str = ""
    experiment_id: str = ""
    run_id: str = ""
    model: str = ""
    version: str = ""
    expires_at: Optional[datetime] = None
    by: str = ""
    at: Optional[datetime] = None
    revoked_by: str = ""
    revoked_at: Optional[datetime] = None
    position: int = 0


class CreatedLink(Record):
    """A new link, and its token, which is told once."""

    link: Optional[Link] = None
    token: str = ""


class SharedThing(Record):
    """What a link shows: an experiment with its newest runs, a run, or a version."""

    experiment: Optional[Experiment] = None
    runs: List[Run] = []
    run: Optional[Run] = None
    version: Optional[ModelVersion] = None
    by: str = ""
    expires_at: Optional[datetime] = None
