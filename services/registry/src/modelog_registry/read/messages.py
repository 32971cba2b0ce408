"""The messages of the contract, made of the entities' states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2, model_pb2

from modelog_registry.artifact import Artifact
from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.dataset.expectation import Expectation
from modelog_registry.experiment.events import ExperimentCreated
from modelog_registry.experiment.state import Experiment
from modelog_registry.model.stage import Stage
from modelog_registry.run.events import DatasetInput, Environment, Point, RunModel, RunStarted, RunStatus
from modelog_registry.run.state import Run

RUN_STATUSES = {
    RunStatus.RUNNING: experiment_pb2.RUN_STATUS_RUNNING,
    RunStatus.SCHEDULED: experiment_pb2.RUN_STATUS_SCHEDULED,
    RunStatus.COMPLETED: experiment_pb2.RUN_STATUS_COMPLETED,
    RunStatus.FAILED: experiment_pb2.RUN_STATUS_FAILED,
    RunStatus.CANCELLED: experiment_pb2.RUN_STATUS_CANCELLED,
}
STAGES = {
    Stage.DEVELOPMENT: model_pb2.STAGE_DEVELOPMENT,
    Stage.STAGING: model_pb2.STAGE_STAGING,
    Stage.PRODUCTION: model_pb2.STAGE_PRODUCTION,
    Stage.ARCHIVED: model_pb2.STAGE_ARCHIVED,
}
EPOCH, DAY_S = datetime(1970, 1, 1, tzinfo=UTC), 86_400
STAGE_OF = {number: stage for stage, number in STAGES.items()}


def experiment_message(experiment: Experiment, created: ExperimentCreated, position: int) -> experiment_pb2.Experiment:
    return experiment_pb2.Experiment(
        id=created.experiment_id,
        name=experiment.name,
        description=experiment.description,
        author=created.author,
        created_at=timestamp(created.created_at or created.at),
        recorded_at=timestamp(created.at),
        position=position,
        tags=experiment.tags,
        artifact_location=created.artifact_location,
        updated_at=timestamp(experiment.updated_at or created.at),
        deleted_at=timestamp(experiment.deleted_at) if experiment.deleted_at is not None else None,
        workspace=experiment.place.workspace,
        project=experiment.place.project,
    )


def run_message(run: Run, started: RunStarted, position: int) -> experiment_pb2.Run:
    """A run without the points of its metrics."""
    message = experiment_pb2.Run(
        id=started.run_id,
        experiment=started.experiment,
        name=run.name,
        status=RUN_STATUSES[run.status],
        author=started.author,
        metrics={name: float(point.value) for name, point in run.metrics.items()},
        artifacts=[artifact_message(a) for a in run.artifacts.values()],
        datasets=[
            experiment_pb2.RunDataset(dataset=d.dataset, version=d.version, digest=d.digest) for d in started.datasets
        ],
        tags=run.tags,
        started_at=timestamp(started.started_at or started.at),
        position=position,
        experiment_id=started.experiment_id,
        parent_run_id=started.parent_run_id,
        recorded_at=timestamp(started.at),
        deleted_at=timestamp(run.deleted_at) if run.deleted_at is not None else None,
        inputs=[_input(d) for d in run.inputs.values()],
        model_inputs=[_run_model(m) for m in run.model_inputs.values()],
        model_outputs=[_run_model(m) for m in run.model_outputs.values()],
    )
    _add_points(message.last_points, run.metrics.values())
    message.parameters.update(run.parameters)
    if run.environment is not None:
        message.environment.CopyFrom(_environment(run.environment))
    if run.ended is not None:
        message.ended_at.CopyFrom(timestamp(run.ended.ended_at or run.ended.at))
        message.error = run.ended.error
    return message


def points_message(points: Iterable[Point]) -> experiment_pb2.Run:
    """Nothing but points, to be merged into a run."""
    message = experiment_pb2.Run()
    _add_points(message.points, points)
    return message


def _add_points(to: Any, points: Iterable[Point]) -> None:
    """Made in their place, since a run may have a thousand of them, and is written after each of its events."""
    add = to.add
    for point in points:
        since = point.at - EPOCH
        at = add(name=point.name, value=float(point.value), step=point.step).at
        at.seconds = since.days * DAY_S + since.seconds
        at.nanos = since.microseconds * 1000


def dataset_message(versions: Sequence[DatasetVersionRegistered], position: int) -> dataset_pb2.Dataset:
    """A dataset with at least one version."""
    first, newest = versions[0], versions[-1]
    return dataset_pb2.Dataset(
        id=first.dataset_id,
        name=first.dataset,
        latest_version=newest.version,
        created_at=timestamp(first.at),
        position=position,
    )


def dataset_version_message(version: DatasetVersionRegistered, position: int) -> dataset_pb2.DatasetVersion:
    return dataset_pb2.DatasetVersion(
        dataset=version.dataset,
        version=version.version,
        label=version.label,
        digest=version.digest,
        size_bytes=version.size_bytes,
        rows=version.rows,
        schema=[dataset_pb2.Column(name=c.name, type=c.type) for c in version.columns],
        expectations=[_expectation(e) for e in version.expectations],
        description=version.description,
        author=version.author,
        created_at=timestamp(version.at),
        position=position,
    )


def artifact_message(artifact: Artifact) -> model_pb2.Artifact:
    return model_pb2.Artifact(path=artifact.path, digest=artifact.digest, size_bytes=artifact.size_bytes)


def timestamp(moment: datetime) -> Timestamp:
    """As Timestamp.FromDatetime, which takes four times as long; raises TypeError for a time of no zone."""
    since = moment - EPOCH
    return Timestamp(seconds=since.days * DAY_S + since.seconds, nanos=since.microseconds * 1000)


def _environment(environment: Environment) -> experiment_pb2.Environment:
    return experiment_pb2.Environment(
        python=environment.python,
        platform=environment.platform,
        packages=environment.packages,
        git_commit=environment.git_commit,
        git_dirty=environment.git_dirty,
        entry_point=environment.entry_point,
        source_digest=environment.source_digest,
        container_image=environment.container_image,
        arguments=environment.arguments,
        seeds=environment.seeds,
        hardware=environment.hardware,
        git_remote=environment.git_remote,
        git_diff=environment.git_diff,
        git_folder=environment.git_folder,
    )


def _input(dataset: DatasetInput) -> experiment_pb2.DatasetInput:
    return experiment_pb2.DatasetInput(
        name=dataset.name,
        digest=dataset.digest,
        source_type=dataset.source_type,
        source=dataset.source,
        schema=dataset.schema,
        profile=dataset.profile,
        tags=dataset.tags,
    )


def _run_model(model: RunModel) -> experiment_pb2.RunModel:
    return experiment_pb2.RunModel(model_id=model.model_id, step=model.step)


def _expectation(expectation: Expectation) -> dataset_pb2.Expectation:
    return dataset_pb2.Expectation(
        column=expectation.column,
        kind=expectation.kind,
        minimum=expectation.minimum,
        maximum=expectation.maximum,
        values=expectation.values,
    )
