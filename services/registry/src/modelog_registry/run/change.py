"""The rules for what may change of a run at any time: its name, status, tags and files, and whether it is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotFound

from modelog_registry.artifact import named_by
from modelog_registry.names import check_name
from modelog_registry.run.commands import DeleteRun, RemoveRunArtifacts, RestoreRun, TagRun, UpdateRun
from modelog_registry.run.events import (
    RunArtifactsRemoved,
    RunDeleted,
    RunEnded,
    RunEvent,
    RunRenamed,
    RunRestored,
    RunResumed,
    RunStatus,
    RunTagged,
)
from modelog_registry.run.state import Run

# What takes more.
OPEN = (RunStatus.RUNNING, RunStatus.SCHEDULED)
Changing = UpdateRun | TagRun | RemoveRunArtifacts | DeleteRun | RestoreRun


def change(run: Run, command: Changing, ctx: Context) -> Sequence[RunEvent]:
    """What follows from a command, or the domain error that refuses it."""
    run_id = command.run_id
    match command:
        case UpdateRun():
            run.kept(run_id, ctx.tenant)
            return [*_renamed(run, command, ctx), *_with_status(run, command, ctx)]
        case TagRun(_, tags, removed):
            run.kept(run_id, ctx.tenant)
            missing = [key for key in removed if key not in run.tags]
            if missing:
                raise NotFound(f"run {run_id} has no tag {missing[0]!r}")
            nothing = not removed and all(run.tags.get(k) == v for k, v in tags.items())
            return () if nothing else [RunTagged(run_id, dict(tags), removed, ctx.actor, ctx.now)]
        case RemoveRunArtifacts(_, paths):
            run.kept(run_id, ctx.tenant)
            files = named_by(paths, run.artifacts, f"run {run_id}")
            return [RunArtifactsRemoved(run_id, files, ctx.actor, ctx.now)]
        case DeleteRun():
            run.existing(run_id, ctx.tenant)
            return () if run.deleted_at is not None else [RunDeleted(run_id, ctx.actor, ctx.now)]
        case RestoreRun():
            run.existing(run_id, ctx.tenant)
            return () if run.deleted_at is None else [RunRestored(run_id, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


def _renamed(run: Run, command: UpdateRun, ctx: Context) -> Sequence[RunEvent]:
    if command.name is None or command.name == run.name:
        return ()
    check_name(command.name, "name")
    if not command.name:
        raise Invalid.field("name", "is empty; leave it out, or give the run a name")
    return [RunRenamed(command.run_id, command.name, ctx.actor, ctx.now)]


def _with_status(run: Run, command: UpdateRun, ctx: Context) -> Sequence[RunEvent]:
    """One that stays is no event, unless the client now says when the run ended."""
    status, ended_at = command.status, command.ended_at
    if ended_at is not None and (status is None or status in OPEN):
        raise Invalid.field("ended_at", "is given without an end; give it with COMPLETED, FAILED or CANCELLED")
    if status is None:
        return ()
    if status in OPEN:
        return () if status is run.status else [RunResumed(command.run_id, status, ctx.actor, ctx.now)]
    if run.ended is not None and status is run.status and ended_at in (None, run.ended.ended_at):
        return ()
    return [RunEnded(command.run_id, status, "", ctx.now, ended_at)]
