"""The rules of experiments: a name is given once, and what is deleted is there to be restored and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, NotFound

from modelog_registry.artifact import check_path, named_by
from modelog_registry.experiment.commands import (
    AddExperimentArtifacts,
    CreateExperiment,
    DeleteExperiment,
    DescribeExperiment,
    ExperimentCommand,
    MoveExperiment,
    RemoveExperimentArtifacts,
    RenameExperiment,
    RestoreExperiment,
    TagExperiment,
)
from modelog_registry.experiment.events import (
    ExperimentArtifactsAdded,
    ExperimentArtifactsRemoved,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentDescribed,
    ExperimentEvent,
    ExperimentMoved,
    ExperimentRenamed,
    ExperimentRestored,
    ExperimentTagged,
)
from modelog_registry.experiment.state import Experiment, evolve
from modelog_registry.names import check_name
from modelog_registry.place import Place

# Runs go there that name no experiment, so it is always there, under this name.
DEFAULT = "Default"


def decide(experiment: Experiment, command: ExperimentCommand, ctx: Context) -> Sequence[ExperimentEvent]:
    """What follows from a command, or the domain error that refuses it."""
    if isinstance(command, CreateExperiment):
        return create(experiment, command, ctx)
    experiment_id = command.experiment_id
    experiment.existing(experiment_id, ctx.tenant)
    if isinstance(command, DeleteExperiment | RestoreExperiment):
        return hide_or_show(experiment, command, ctx)
    if experiment.deleted_at is not None:
        raise NotAllowed(f"the experiment {experiment.name!r} is deleted; restore it first")
    match command:
        case RenameExperiment(_, name):
            return rename(experiment, experiment_id, name, ctx)
        case DescribeExperiment(_, description):
            same = description == experiment.description
            return () if same else [ExperimentDescribed(experiment_id, description, ctx.actor, ctx.now)]
        case TagExperiment(_, tags, removed):
            missing = [key for key in removed if key not in experiment.tags]
            if missing:
                raise NotFound(f"the experiment {experiment.name!r} has no tag {missing[0]!r}")
            nothing = not removed and all(experiment.tags.get(k) == v for k, v in tags.items())
            return () if nothing else [ExperimentTagged(experiment_id, dict(tags), removed, ctx.actor, ctx.now)]
        case AddExperimentArtifacts(_, artifacts):
            for n, artifact in enumerate(artifacts):
                check_path(artifact.path, f"artifacts[{n}].path")
            return [ExperimentArtifactsAdded(experiment_id, artifacts, ctx.actor, ctx.now)] if artifacts else ()
        case RemoveExperimentArtifacts(_, paths):
            files = named_by(paths, experiment.artifacts, f"the experiment {experiment.name!r}")
            return [ExperimentArtifactsRemoved(experiment_id, files, ctx.actor, ctx.now)]
        case MoveExperiment(_, place):
            return move(experiment, experiment_id, place, ctx)
        case _:
            assert_never(command)


def create(experiment: Experiment, command: CreateExperiment, ctx: Context) -> Sequence[ExperimentEvent]:
    """Asking again is not an error, unless the caller says so."""
    check_name(command.name, "name")
    if experiment.created is None:
        return [
            ExperimentCreated(
                command.experiment_id,
                command.name,
                command.description,
                ctx.actor,
                ctx.now,
                ctx.tenant,
                dict(command.tags),
                command.artifact_location,
                command.created_at,
                command.place,
            )
        ]
    if experiment.deleted_at is not None:
        raise AlreadyExists(f"an experiment {command.name!r} is there and deleted; restore it or take another name")
    if command.must_be_new:
        raise AlreadyExists(f"there is an experiment {command.name!r} already")
    return ()


def rename(experiment: Experiment, experiment_id: str, name: str, ctx: Context) -> Sequence[ExperimentEvent]:
    check_name(name, "name")
    if name == experiment.name:
        return ()
    if experiment.name == DEFAULT:
        raise NotAllowed(f"{DEFAULT} keeps its name: runs that name no experiment go there")
    if not name:
        raise Invalid.field("name", "is empty; an experiment needs a name")
    return [ExperimentRenamed(experiment_id, experiment.name, name, ctx.actor, ctx.now)]


def move(experiment: Experiment, experiment_id: str, place: Place, ctx: Context) -> Sequence[ExperimentEvent]:
    """Where it is already it may be put again."""
    if place == experiment.place:
        return ()
    if experiment.name == DEFAULT:
        raise NotAllowed(f"{DEFAULT} stays where it is: runs that name no experiment go there")
    return [ExperimentMoved(experiment_id, experiment.name, experiment.place, place, ctx.actor, ctx.now)]


def hide_or_show(
    experiment: Experiment, command: DeleteExperiment | RestoreExperiment, ctx: Context
) -> Sequence[ExperimentEvent]:
    """Doing it twice is not an error."""
    deletes = isinstance(command, DeleteExperiment)
    if deletes is (experiment.deleted_at is not None):
        return ()
    if deletes and experiment.name == DEFAULT:
        raise NotAllowed(f"{DEFAULT} cannot be deleted: runs that name no experiment go there")
    made = ExperimentDeleted if deletes else ExperimentRestored
    return [made(command.experiment_id, experiment.name, ctx.actor, ctx.now)]


EXPERIMENT: Decider[Experiment, ExperimentCommand, ExperimentEvent] = Decider(
    "registry.experiment", Experiment, decide, evolve
)
