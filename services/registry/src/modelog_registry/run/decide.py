"""The rules of runs: what was told stays, and an ended run takes nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed

from modelog_registry.artifact import check_path
from modelog_registry.names import check_name
from modelog_registry.run.commands import EndRun, LogRun, RunCommand, StartRun
from modelog_registry.run.events import Point, RunEnded, RunEvent, RunLogged, RunStarted, RunStatus, stored_number
from modelog_registry.run.state import Run, evolve


def decide(run: Run, command: RunCommand, ctx: Context) -> Sequence[RunEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case StartRun():
            return start(run, command, ctx)
        case LogRun():
            return log(run, command, ctx)
        case EndRun():
            return end(run, command, ctx)
        case _:
            assert_never(command)


def start(run: Run, command: StartRun, ctx: Context) -> Sequence[RunEvent]:
    """A run without a name takes one from its id."""
    if run.started is not None:
        raise AlreadyExists(f"run {command.run_id} exists already")
    check_name(command.name, "name")
    return [
        RunStarted(
            command.run_id,
            ctx.tenant,
            command.experiment,
            command.name or f"run-{command.run_id[:8]}",
            ctx.actor,
            dict(command.parameters),
            command.datasets,
            command.environment,
            dict(command.tags),
            ctx.now,
        )
    ]


def log(run: Run, command: LogRun, ctx: Context) -> Sequence[RunEvent]:
    """Parameters keep their first value; metrics, tags and artifacts may be told again."""
    run.existing(command.run_id, ctx.tenant)
    if run.ended is not None:
        raise NotAllowed(f"run {command.run_id} ended as {run.status} and takes nothing more; start a new one")
    for name, value in command.parameters.items():
        if name in run.parameters and run.parameters[name] != value:
            raise Invalid.field(
                f"parameters.{name}",
                f"is {run.parameters[name]!r} already and cannot become {value!r}; start a new run",
            )
    for n, artifact in enumerate(command.artifacts):
        check_path(artifact.path, f"artifacts[{n}].path")
    told = RunLogged(
        command.run_id,
        dict(command.parameters),
        tuple(Point(m.name, stored_number(m.value), m.step, m.at or ctx.now) for m in command.metrics),
        command.artifacts,
        dict(command.tags),
        command.environment,
        ctx.now,
    )
    nothing = not (told.parameters or told.metrics or told.artifacts or told.tags or told.environment)
    return () if nothing else [told]


def end(run: Run, command: EndRun, ctx: Context) -> Sequence[RunEvent]:
    """Ending a run the same way twice is not an error."""
    run.existing(command.run_id, ctx.tenant)
    if command.status is RunStatus.RUNNING:
        raise Invalid.field("status", "is RUNNING, which is no end; use COMPLETED, FAILED or CANCELLED")
    if run.ended is None:
        return [RunEnded(command.run_id, command.status, command.error, ctx.now)]
    if run.status is command.status:
        return ()
    raise NotAllowed(f"run {command.run_id} ended as {run.status}; it cannot end as {command.status} too")


RUN: Decider[Run, RunCommand, RunEvent] = Decider("registry.run", Run, decide, evolve)
