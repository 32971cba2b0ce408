"""The rules of logged models: parameters keep their first value, and what is finalised or deleted stays so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound

from modelog_registry.artifact import check_path, named_by
from modelog_registry.logged_model.commands import (
    AddToLoggedModel,
    CreateLoggedModel,
    DeleteLoggedModel,
    FinaliseLoggedModel,
    LoggedModelCommand,
    MeasuredModel,
    RemoveLoggedModelArtifacts,
)
from modelog_registry.logged_model.events import (
    LoggedModelAddedTo,
    LoggedModelArtifactsRemoved,
    LoggedModelCreated,
    LoggedModelDeleted,
    LoggedModelEvent,
    LoggedModelFinalised,
    LoggedModelStatus,
    ModelMetric,
)
from modelog_registry.logged_model.state import LoggedModel, evolve
from modelog_registry.names import check_name
from modelog_registry.run.events import stored_number


def decide(model: LoggedModel, command: LoggedModelCommand, ctx: Context) -> Sequence[LoggedModelEvent]:
    """What follows from a command, or the domain error that refuses it."""
    match command:
        case CreateLoggedModel():
            return create(model, command, ctx)
        case AddToLoggedModel():
            return add(model, command, ctx)
        case FinaliseLoggedModel():
            return finalise(model, command, ctx)
        case RemoveLoggedModelArtifacts(model_id, paths):
            model.existing(model_id, ctx.tenant)
            files = named_by(paths, model.artifacts, f"the logged model {model_id}")
            return [LoggedModelArtifactsRemoved(model_id, files, ctx.actor, ctx.now)]
        case DeleteLoggedModel(model_id):
            model.existing(model_id, ctx.tenant)
            return [LoggedModelDeleted(model_id, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


def create(model: LoggedModel, command: CreateLoggedModel, ctx: Context) -> Sequence[LoggedModelEvent]:
    """One without a name is called after its id."""
    if model.created is not None:
        raise AlreadyExists(f"the logged model {command.model_id} exists already")
    check_name(command.name, "name")
    return [
        LoggedModelCreated(
            command.model_id,
            ctx.tenant,
            command.experiment_id,
            command.name or command.model_id,
            command.model_type,
            command.source_run_id,
            dict(command.parameters),
            dict(command.tags),
            ctx.actor,
            ctx.now,
            command.created_at,
        )
    ]


def add(model: LoggedModel, command: AddToLoggedModel, ctx: Context) -> Sequence[LoggedModelEvent]:
    """Metrics, tags and artifacts may be told again."""
    model.existing(command.model_id, ctx.tenant)
    for name, value in command.parameters.items():
        if model.parameters.get(name, value) != value:
            raise Invalid.field(
                f"parameters.{name}", f"is {model.parameters[name]!r} already and cannot become {value!r}"
            )
    missing = [key for key in command.removed_tags if key not in model.tags]
    if missing:
        raise NotFound(f"the logged model {command.model_id} has no tag {missing[0]!r}")
    for n, artifact in enumerate(command.artifacts):
        check_path(artifact.path, f"artifacts[{n}].path")
    told = LoggedModelAddedTo(
        command.model_id,
        dict(command.parameters),
        dict(command.tags),
        command.removed_tags,
        tuple(_metric(m, ctx) for m in command.metrics),
        command.artifacts,
        ctx.actor,
        ctx.now,
    )
    something = told.parameters or told.tags or told.removed_tags or told.metrics or told.artifacts
    return [told] if something else ()


def _metric(told: MeasuredModel, ctx: Context) -> ModelMetric:
    measured = told.measured
    return ModelMetric(
        measured.name,
        stored_number(measured.value),
        measured.step,
        measured.at or ctx.now,
        told.run_id,
        told.dataset_name,
        told.dataset_digest,
    )


def finalise(model: LoggedModel, command: FinaliseLoggedModel, ctx: Context) -> Sequence[LoggedModelEvent]:
    """Doing it the same way twice is not an error."""
    model.existing(command.model_id, ctx.tenant)
    if command.status is LoggedModelStatus.PENDING:
        raise Invalid.field("status", "is PENDING, which is what it was before; use READY or FAILED")
    if model.status is command.status:
        return ()
    if model.status is not LoggedModelStatus.PENDING:
        raise NotAllowed(f"the logged model {command.model_id} is {model.status} and cannot become {command.status}")
    return [LoggedModelFinalised(command.model_id, command.status, command.message, ctx.actor, ctx.now)]


LOGGED_MODEL: Decider[LoggedModel, LoggedModelCommand, LoggedModelEvent] = Decider(
    "registry.loggedmodel", LoggedModel, decide, evolve
)
