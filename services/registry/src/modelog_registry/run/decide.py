"""The rules of runs: what was told stays, and what ended takes nothing more until it is resumed."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed

from modelog_registry.artifact import check_path
from modelog_registry.names import check_name
from modelog_registry.run.change import OPEN, change
from modelog_registry.run.commands import EndRun, LogInputs, LogOutputs, LogRun, RunCommand, SealMetrics, StartRun
from modelog_registry.run.events import (
    MetricsSealed,
    Point,
    RunEnded,
    RunEvent,
    RunInputsLogged,
    RunLogged,
    RunOutputsLogged,
    RunStarted,
    stored_number,
)
from modelog_registry.run.state import Run, evolve


def decide(run: Run, command: RunCommand, ctx: Context) -> Sequence[RunEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case StartRun():
            return start(run, command, ctx)
        case LogRun():
            return log(run, command, ctx)
        case LogInputs(run_id, datasets, models):
            run.open(run_id, ctx.tenant)
            return [RunInputsLogged(run_id, datasets, models, ctx.now)] if datasets or models else ()
        case LogOutputs(run_id, models):
            run.open(run_id, ctx.tenant)
            return [RunOutputsLogged(run_id, models, ctx.now)] if models else ()
        case SealMetrics():
            return seal(run, command, ctx)
        case EndRun():
            return end(run, command, ctx)
        case _:
            return change(run, command, ctx)


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
            command.experiment_id,
            command.parent_run_id,
            command.started_at,
        )
    ]


def log(run: Run, command: LogRun, ctx: Context) -> Sequence[RunEvent]:
    """Parameters keep their first value; metrics, tags and artifacts may be told again."""
    run.open(command.run_id, ctx.tenant)
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
    run.kept(command.run_id, ctx.tenant)
    if command.status in OPEN:
        raise Invalid.field("status", f"is {command.status.name}, which is no end; use COMPLETED, FAILED or CANCELLED")
    if run.ended is None:
        return [RunEnded(command.run_id, command.status, command.error, ctx.now)]
    if run.status is command.status:
        return ()
    raise NotAllowed(f"run {command.run_id} ended as {run.status}; it cannot end as {command.status} too")


def seal(run: Run, command: SealMetrics, ctx: Context) -> Sequence[RunEvent]:
    """What was acknowledged is vouched for, also when the run has ended or was deleted since."""
    run.existing(command.run_id, ctx.tenant)
    if command.last <= run.sealed:
        return ()
    sealed = (command.first, command.last, command.count, command.digest, command.latest)
    return [MetricsSealed(command.run_id, *sealed, ctx.now)]


RUN: Decider[Run, RunCommand, RunEvent] = Decider("registry.run", Run, decide, evolve)
