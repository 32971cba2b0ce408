"""The rules of workspaces and projects, by given, when, then."""

from __future__ import annotations

from dataclasses import replace as dataclass_replace

from modelog_common.domain.context import Context
from modelog_common.domain.errors import AlreadyExists, Forbidden, NotAllowed, NotFound
from modelog_common.testing.scenario import NOW, context, scenario
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
from modelog_registry.workspace.decide import WORKSPACES
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
from modelog_registry.workspace.state import Workspaces
from msgspec.structs import replace

MADE = WorkspaceCreated("fraud", "", "alice", NOW)
CARDS = ProjectCreated("fraud", "cards", "", "alice", NOW)
BOB = WorkspaceMemberSet("fraud", "bob", Role.REVIEWER, "alice", NOW)
GONE = WorkspaceDeleted("fraud", "alice", NOW)
ADMIN = dataclass_replace(context("root"), roles=frozenset({"admin"}))


def follows(
    when: WorkspaceCommand,
    *then: WorkspaceEvent,
    given: tuple[WorkspaceEvent, ...] = (MADE,),
    by: str | Context = "alice",
) -> Workspaces:
    return scenario(WORKSPACES, given=given, when=when, by=by, then=then)


def refused(
    when: WorkspaceCommand,
    why: str,
    error: type[Exception],
    *,
    given: tuple[WorkspaceEvent, ...] = (MADE,),
    by: str | Context = "alice",
) -> None:
    scenario(WORKSPACES, given=given, when=when, by=by, refused=why, error=error)  # type: ignore[arg-type]


def test_the_default_workspace_is_there_before_anything_happened() -> None:
    default = Workspaces().named("default")
    assert (list(default.projects), default.access, default.members) == (["default"], Access.OPEN, {})
    refused(CreateWorkspace("default"), "a workspace 'default' already", AlreadyExists, given=())
    refused(DeleteWorkspace("default"), "default cannot be deleted", NotAllowed, given=(), by=ADMIN)
    wanted = UpdateWorkspace("default", access=Access.RESTRICTED)
    refused(wanted, "default is open to the tenant", NotAllowed, given=(), by=ADMIN)
    follows(CreateProject("default", "cards"), replace(CARDS, workspace="default"), given=())


def test_who_makes_a_workspace_runs_it() -> None:
    after = follows(CreateWorkspace("fraud"), MADE, given=())
    assert after.named("fraud").members == {"alice": Role.ADMIN}
    refused(CreateWorkspace("fraud"), "already; take another name", AlreadyExists, by="bob")
    refused(CreateWorkspace("fraud"), "already; take another name", AlreadyExists, given=(MADE, GONE), by="bob")
    refused(UpdateWorkspace("fraud", "x"), "bob does not run the workspace 'fraud'; ask alice", Forbidden, by="bob")
    follows(UpdateWorkspace("fraud", "x"), WorkspaceDescribed("fraud", "x", "root", NOW), by=ADMIN)
    follows(UpdateWorkspace("fraud", ""))
    follows(UpdateWorkspace("fraud"))
    refused(UpdateWorkspace("frauds", "x"), "there is no workspace 'frauds'", NotFound)


def test_members_come_and_go_and_the_last_admin_stays() -> None:
    follows(SetMember("fraud", "bob", Role.REVIEWER), BOB)
    follows(SetMember("fraud", "bob", Role.REVIEWER), given=(MADE, BOB))
    follows(RemoveMember("fraud", "bob"), WorkspaceMemberRemoved("fraud", "bob", "alice", NOW), given=(MADE, BOB))
    refused(RemoveMember("fraud", "carol"), "'carol' is no member", NotFound)
    refused(RemoveMember("fraud", "alice"), "alice is the last admin", NotAllowed, given=(MADE, BOB))
    refused(SetMember("fraud", "alice", Role.VIEWER), "alice is the last admin", NotAllowed, given=(MADE, BOB))
    refused(SetMember("fraud", "bob", Role.ADMIN), "bob does not run", Forbidden, given=(MADE, BOB), by="bob")
    two = (MADE, replace(BOB, role=Role.ADMIN))
    follows(RemoveMember("fraud", "alice"), WorkspaceMemberRemoved("fraud", "alice", "bob", NOW), given=two, by="bob")


def test_a_workspace_is_restricted_to_members_among_whom_somebody_runs_it() -> None:
    closed = WorkspaceAccessSet("fraud", Access.RESTRICTED, "alice", NOW)
    after = follows(
        UpdateWorkspace("fraud", "d", Access.RESTRICTED), WorkspaceDescribed("fraud", "d", "alice", NOW), closed
    )
    assert after.named("fraud").access is Access.RESTRICTED
    follows(UpdateWorkspace("fraud", access=Access.RESTRICTED), given=(MADE, closed))
    opened = WorkspaceAccessSet("fraud", Access.OPEN, "alice", NOW)
    follows(UpdateWorkspace("fraud", access=Access.OPEN), opened, given=(MADE, closed))


def test_nothing_is_deleted_with_things_in_it() -> None:
    refused(DeleteWorkspace("fraud", 2), "the workspace 'fraud' has 2 experiments and models in it", NotAllowed)
    refused(
        DeleteProject("fraud", "cards", 1), "fraud/cards has 1 experiment or model", NotAllowed, given=(MADE, CARDS)
    )
    refused(DeleteProject("fraud", "default"), "the project default cannot be deleted", NotAllowed)
    refused(DeleteProject("fraud", "cards"), "no project 'cards'; it has default", NotFound)
    follows(
        DeleteProject("fraud", "cards"), ProjectDeleted("fraud", "cards", "bob", NOW), given=(MADE, CARDS), by="bob"
    )
    follows(DeleteWorkspace("fraud"), GONE)
    refused(CreateProject("fraud", "cards"), "is deleted; restore it first", NotAllowed, given=(MADE, GONE))
    follows(RestoreWorkspace("fraud"), WorkspaceRestored("fraud", "alice", NOW), given=(MADE, GONE))
    follows(RestoreWorkspace("fraud"))
    refused(RestoreWorkspace("fraud"), "bob does not run", Forbidden, given=(MADE, GONE), by="bob")


def test_whoever_may_write_orders_a_workspace_by_projects() -> None:
    follows(CreateProject("fraud", "cards"), replace(CARDS, by="bob"), by="bob")
    refused(CreateProject("fraud", "cards"), "has a project 'cards' already", AlreadyExists, given=(MADE, CARDS))
    told = ProjectDescribed("fraud", "cards", "all", "bob", NOW)
    follows(DescribeProject("fraud", "cards", "all"), told, given=(MADE, CARDS), by="bob")
    follows(DescribeProject("fraud", "cards"), given=(MADE, CARDS))
