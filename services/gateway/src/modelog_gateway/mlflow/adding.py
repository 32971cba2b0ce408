"""MLflow's methods that add to a run: metrics, parameters, inputs, outputs."""

from __future__ import annotations

import json
from array import array
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain

import msgspec
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_common.stores.curves import packed
from modelog_proto.registry.v1 import experiment_pb2 as pb
from modelog_proto.registry.v1 import logged_model_pb2

from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.runs import ENDED, OfRun, set_tags
from modelog_gateway.mlflow.values import Int64, Pair, mapped, timestamp

# So many points at most go together with those of other requests.
FEW = 100
HISTORY_TAG = "mlflow.log-model.history"
Adding = Callable[[], Awaitable[object]]


class Point(msgspec.Struct, gc=False):
    """`model_id` ties it to a logged model, the dataset to what it was measured on."""

    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogMetric(OfRun, kw_only=True):
    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LogParameter(OfRun, kw_only=True):
    key: str
    value: str = ""


class LogBatch(msgspec.Struct):
    run_id: str
    metrics: list[Point] = []
    params: list[Pair] = []
    tags: list[Pair] = []


class Dataset(msgspec.Struct):
    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class Input(msgspec.Struct):
    dataset: Dataset
    tags: list[Pair] = []


class Model(msgspec.Struct):
    model_id: str
    step: Int64 = 0


class LogInputs(msgspec.Struct):
    run_id: str
    datasets: list[Input] = []
    models: list[Model] = []


class LogOutputs(msgspec.Struct):
    run_id: str
    models: list[Model] = []


class LogModel(msgspec.Struct):
    run_id: str
    model_json: str


async def log_metric(registry: Registry, asked: LogMetric) -> Answer:
    point = Point(
        asked.key,
        asked.value,
        asked.timestamp,
        asked.step,
        asked.model_id,
        asked.dataset_name,
        asked.dataset_digest,
    )
    await add_points(registry, asked.id, [point])
    return {}


async def log_batch(registry: Registry, asked: LogBatch) -> Answer:
    if asked.params:
        await add_parameters(registry, asked.run_id, asked.params)
    if asked.tags:
        await set_tags(registry, asked.run_id, mapped(asked.tags, "tags"))
    if asked.metrics:
        await add_points(registry, asked.run_id, asked.metrics)
    return {}


async def log_parameter(registry: Registry, asked: LogParameter) -> Answer:
    await add_parameters(registry, asked.id, [Pair(asked.key, asked.value)])
    return {}


async def log_inputs(registry: Registry, asked: LogInputs) -> Answer:
    request = pb.LogInputsRequest(
        run_id=asked.run_id,
        datasets=[
            pb.DatasetInput(**msgspec.structs.asdict(given.dataset), tags=mapped(given.tags, "tags"))
            for given in asked.datasets
        ],
        models=_models(asked.models),
    )
    await adding(registry, asked.run_id, lambda: registry.experiments.LogInputs(request))
    return {}


async def log_outputs(registry: Registry, asked: LogOutputs) -> Answer:
    request = pb.LogOutputsRequest(run_id=asked.run_id, models=_models(asked.models))
    await adding(registry, asked.run_id, lambda: registry.experiments.LogOutputs(request))
    return {}


async def log_model(registry: Registry, asked: LogModel) -> Answer:
    """What clients of MLflow 2 tell of a model that they logged: it goes to the end of a list in a tag."""
    run = await registry.experiments.GetRun(pb.GetRunRequest(run_id=asked.run_id, without_points=True))
    try:
        told = [*json.loads(run.tags.get(HISTORY_TAG, "[]")), json.loads(asked.model_json)]
    except ValueError as error:
        raise Invalid.field("model_json", f"is not JSON: {error}") from None
    await set_tags(registry, asked.run_id, {HISTORY_TAG: json.dumps(told)})
    return {}


async def add_parameters(registry: Registry, run_id: str, given: Iterable[Pair]) -> None:
    request = pb.LogRunRequest(run_id=run_id)
    request.parameters.update(mapped(given, "params"))
    await adding(registry, run_id, lambda: registry.experiments.LogRun(request))


async def add_points(registry: Registry, run_id: str, points: Sequence[Point]) -> None:
    """To the run; points that name a logged model go there too."""
    request = pb.LogMetricsRequest(run_id=run_id, block=block_of(points))
    log = registry.points.send if len(points) <= FEW else registry.experiments.LogMetrics
    await adding(registry, run_id, lambda: log(request))
    of_models: dict[str, list[Point]] = {}
    for point in points:
        if point.model_id:
            of_models.setdefault(point.model_id, []).append(point)
    for model_id, measured in of_models.items():
        metrics = [_model_metric(run_id, point) for point in measured]
        add = logged_model_pb2.AddToLoggedModelRequest(model_id=model_id, metrics=metrics)
        await registry.logged_models.AddToLoggedModel(add)


def block_of(points: Iterable[Point]) -> pb.MetricBlock:
    """The points of each metric together, in the order in which they came."""
    of_metrics: dict[str, list[Point]] = {}
    for point in points:
        of_metric = of_metrics.get(point.key)
        if of_metric is None:
            of_metric = of_metrics[point.key] = []
        of_metric.append(point)
    ordered = list(chain.from_iterable(of_metrics.values()))
    return pb.MetricBlock(
        names=of_metrics,
        counts=map(len, of_metrics.values()),
        steps=packed(array("q", [point.step for point in ordered])),
        times_ms=packed(array("q", [point.timestamp for point in ordered])),
        values=packed(array("d", [point.value for point in ordered])),
    )


async def adding(registry: Registry, run_id: str, add: Adding) -> None:
    """Add to a run. MLflow's clients add to ended runs too: here such a run is resumed for it, and ends as before."""
    try:
        await add()
    except NotAllowed:
        run = await registry.experiments.GetRun(pb.GetRunRequest(run_id=run_id, without_points=True))
        if run.status not in ENDED or run.HasField("deleted_at"):
            raise
        await registry.experiments.UpdateRun(pb.UpdateRunRequest(run_id=run_id, status=pb.RUN_STATUS_RUNNING))
        try:
            await add()
        finally:
            again = pb.UpdateRunRequest(run_id=run_id, status=run.status, ended_at=run.ended_at)
            await registry.experiments.UpdateRun(again)


def _models(given: Iterable[Model]) -> list[pb.RunModel]:
    return [pb.RunModel(model_id=model.model_id, step=model.step) for model in given]


def _model_metric(run_id: str, point: Point) -> logged_model_pb2.LoggedModelMetric:
    return logged_model_pb2.LoggedModelMetric(
        name=point.key,
        value=point.value,
        step=point.step,
        at=timestamp(point.timestamp),
        run_id=run_id,
        dataset_name=point.dataset_name,
        dataset_digest=point.dataset_digest,
    )


ENDPOINTS = (
    Endpoint("POST", "/runs/log-metric", LogMetric, log_metric),
    Endpoint("POST", "/runs/log-parameter", LogParameter, log_parameter),
    Endpoint("POST", "/runs/log-batch", LogBatch, log_batch),
    Endpoint("POST", "/runs/log-inputs", LogInputs, log_inputs),
    Endpoint("POST", "/runs/log-model", LogModel, log_model),
    Endpoint("POST", "/runs/outputs", LogOutputs, log_outputs),
)
