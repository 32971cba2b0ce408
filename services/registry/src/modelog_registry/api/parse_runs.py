"""From messages about runs to commands. The server has checked the messages against the contract before."""

from __future__ import annotations

from collections.abc import Iterable

from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1 import experiment_pb2 as pb

from modelog_registry.api.values import artifact_of, object_of, time_of
from modelog_registry.read.messages import RUN_STATUSES
from modelog_registry.run.commands import EndRun, LogInputs, LogOutputs, LogRun, Measured, StartRun, UpdateRun
from modelog_registry.run.events import DatasetInput, Environment, RunDataset, RunModel

_STATUSES = {number: status for status, number in RUN_STATUSES.items()}


def start_run(request: pb.StartRunRequest, run_id: str) -> StartRun:
    return StartRun(
        run_id=run_id,
        experiment=request.experiment,
        name=request.name,
        parameters=object_of(request.parameters),
        datasets=tuple(RunDataset(d.dataset, d.version, d.digest) for d in request.datasets),
        environment=_environment(request.environment) if request.HasField("environment") else None,
        tags=dict(request.tags),
        experiment_id=request.experiment_id,
        parent_run_id=request.parent_run_id,
        started_at=time_of(request, "started_at"),
    )


def starts(request: pb.StartRunsRequest) -> list[tuple[pb.StartRunRequest, str]]:
    """Each start with its correlation id, empty for the call's; raises Invalid when it could not be sent again."""
    for n, run in enumerate(request.runs):
        if not run.request_id:
            raise Invalid.field(f"runs[{n}].request_id", "is missing; give each run one")
    correlated = list(request.correlation_ids) or [""] * len(request.runs)
    if len(correlated) != len(request.runs):
        raise Invalid.field(
            "correlation_ids", f"has {len(correlated)} items for {len(request.runs)} runs; give as many"
        )
    return list(zip(request.runs, correlated, strict=True))


def log_run(request: pb.LogRunRequest) -> LogRun:
    return LogRun(
        run_id=request.run_id,
        parameters=object_of(request.parameters),
        metrics=tuple(_measured(point) for point in request.metrics),
        artifacts=tuple(artifact_of(a) for a in request.artifacts),
        tags=dict(request.tags),
        environment=_environment(request.environment) if request.HasField("environment") else None,
    )


def end_run(request: pb.EndRunRequest) -> EndRun:
    return EndRun(request.run_id, _STATUSES[request.status], request.error)


def update_run(request: pb.UpdateRunRequest) -> UpdateRun:
    return UpdateRun(
        request.run_id,
        request.name if request.HasField("name") else None,
        _STATUSES.get(request.status),
        time_of(request, "ended_at"),
    )


def log_inputs(request: pb.LogInputsRequest) -> LogInputs:
    datasets = tuple(
        DatasetInput(d.name, d.digest, d.source_type, d.source, d.schema, d.profile, dict(d.tags))
        for d in request.datasets
    )
    return LogInputs(request.run_id, datasets, _models(request.models))


def log_outputs(request: pb.LogOutputsRequest) -> LogOutputs:
    return LogOutputs(request.run_id, _models(request.models))


def _models(models: Iterable[pb.RunModel]) -> tuple[RunModel, ...]:
    return tuple(RunModel(m.model_id, m.step) for m in models)


def _measured(point: pb.MetricPoint) -> Measured:
    return Measured(point.name, point.value, point.step, time_of(point, "at"))


def _environment(environment: pb.Environment) -> Environment:
    return Environment(
        environment.python,
        environment.platform,
        dict(environment.packages),
        environment.git_commit,
        environment.git_dirty,
        environment.entry_point,
        environment.source_digest,
        environment.container_image,
        tuple(environment.arguments),
        dict(environment.seeds),
        dict(environment.hardware),
        environment.git_remote,
        environment.git_diff,
        environment.git_folder,
    )
