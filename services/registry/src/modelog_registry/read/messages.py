"""The messages of the contract, made of the entities' states."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2, model_pb2

from modelog_registry.artifact import Artifact
from modelog_registry.dataset.events import DatasetVersionRegistered
from modelog_registry.dataset.expectation import Expectation
from modelog_registry.experiment.events import ExperimentCreated
from modelog_registry.run.events import Environment, Point, RunStarted, RunStatus
from modelog_registry.run.state import Run

RUN_STATUSES = {
    RunStatus.RUNNING: experiment_pb2.RUN_STATUS_RUNNING,
    RunStatus.COMPLETED: experiment_pb2.RUN_STATUS_COMPLETED,
    RunStatus.FAILED: experiment_pb2.RUN_STATUS_FAILED,
    RunStatus.CANCELLED: experiment_pb2.RUN_STATUS_CANCELLED,
}


def experiment_message(created: ExperimentCreated, position: int) -> experiment_pb2.Experiment:
    return experiment_pb2.Experiment(
        id=created.experiment_id,
        name=created.name,
        description=created.description,
        author=created.author,
        created_at=timestamp(created.at),
        position=position,
    )


def run_message(run: Run, started: RunStarted, position: int) -> experiment_pb2.Run:
    """A run without the points of its metrics."""
    message = experiment_pb2.Run(
        id=started.run_id,
        experiment=started.experiment,
        name=started.name,
        status=RUN_STATUSES[run.status],
        author=started.author,
        metrics={name: float(point.value) for name, point in run.metrics.items()},
        artifacts=[artifact_message(a) for a in run.artifacts.values()],
        datasets=[
            experiment_pb2.RunDataset(dataset=d.dataset, version=d.version, digest=d.digest) for d in started.datasets
        ],
        tags=run.tags,
        started_at=timestamp(started.at),
        position=position,
    )
    message.parameters.update(run.parameters)
    if run.environment is not None:
        message.environment.CopyFrom(_environment(run.environment))
    if run.ended is not None:
        message.ended_at.CopyFrom(timestamp(run.ended.at))
        message.error = run.ended.error
    return message


def points_message(points: Sequence[Point]) -> experiment_pb2.Run:
    """Nothing but points, to be merged into a run."""
    return experiment_pb2.Run(
        points=[
            experiment_pb2.MetricPoint(name=p.name, value=float(p.value), step=p.step, at=timestamp(p.at))
            for p in points
        ]
    )


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
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _environment(environment: Environment) -> experiment_pb2.Environment:
    return experiment_pb2.Environment(
        python=environment.python,
        platform=environment.platform,
        packages=environment.packages,
        git_commit=environment.git_commit,
        git_dirty=environment.git_dirty,
        entry_point=environment.entry_point,
        source_digest=environment.source_digest,
    )


def _expectation(expectation: Expectation) -> dataset_pb2.Expectation:
    return dataset_pb2.Expectation(
        column=expectation.column,
        kind=expectation.kind,
        minimum=expectation.minimum,
        maximum=expectation.maximum,
        values=expectation.values,
    )
