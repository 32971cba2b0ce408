"""From messages to commands. The server has checked the messages against the rules of the contract before."""

from __future__ import annotations

from datetime import UTC

from modelog_proto.registry.v1 import dataset_pb2, experiment_pb2

from modelog_registry.api.values import artifact_of, object_of
from modelog_registry.dataset.commands import RegisterDatasetVersion
from modelog_registry.dataset.expectation import Column, Expectation
from modelog_registry.experiment.commands import CreateExperiment
from modelog_registry.read.messages import RUN_STATUSES
from modelog_registry.run.commands import EndRun, LogRun, Measured, StartRun
from modelog_registry.run.events import Environment, RunDataset

_RUN_STATUSES = {number: status for status, number in RUN_STATUSES.items()}


def create_experiment(request: experiment_pb2.CreateExperimentRequest) -> CreateExperiment:
    return CreateExperiment(request.name, request.description)


def start_run(request: experiment_pb2.StartRunRequest, run_id: str) -> StartRun:
    return StartRun(
        run_id=run_id,
        experiment=request.experiment,
        name=request.name,
        parameters=object_of(request.parameters),
        datasets=tuple(RunDataset(d.dataset, d.version, d.digest) for d in request.datasets),
        environment=_environment(request.environment) if request.HasField("environment") else None,
        tags=dict(request.tags),
    )


def log_run(request: experiment_pb2.LogRunRequest) -> LogRun:
    return LogRun(
        run_id=request.run_id,
        parameters=object_of(request.parameters),
        metrics=tuple(_measured(point) for point in request.metrics),
        artifacts=tuple(artifact_of(a) for a in request.artifacts),
        tags=dict(request.tags),
        environment=_environment(request.environment) if request.HasField("environment") else None,
    )


def end_run(request: experiment_pb2.EndRunRequest) -> EndRun:
    return EndRun(request.run_id, _RUN_STATUSES[request.status], request.error)


def register_dataset_version(request: dataset_pb2.RegisterDatasetVersionRequest) -> RegisterDatasetVersion:
    return RegisterDatasetVersion(
        dataset=request.dataset,
        digest=request.digest,
        size_bytes=request.size_bytes,
        rows=request.rows,
        columns=tuple(Column(c.name, c.type) for c in request.schema),
        expectations=tuple(_expectation(e) for e in request.expectations),
        label=request.label,
        description=request.description,
    )


def _measured(point: experiment_pb2.MetricPoint) -> Measured:
    at = point.at.ToDatetime(tzinfo=UTC) if point.HasField("at") else None
    return Measured(point.name, point.value, point.step, at)


def _environment(environment: experiment_pb2.Environment) -> Environment:
    return Environment(
        environment.python,
        environment.platform,
        dict(environment.packages),
        environment.git_commit,
        environment.git_dirty,
        environment.entry_point,
        environment.source_digest,
    )


def _expectation(expectation: dataset_pb2.Expectation) -> Expectation:
    return Expectation(
        expectation.column,
        expectation.kind,
        expectation.minimum if expectation.HasField("minimum") else None,
        expectation.maximum if expectation.HasField("maximum") else None,
        tuple(expectation.values),
    )
