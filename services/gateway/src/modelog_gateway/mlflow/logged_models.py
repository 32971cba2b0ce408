"""MLflow's methods about logged models: what runs made before anybody registers it."""

from __future__ import annotations

from typing import Any

import msgspec
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1 import logged_model_pb2 as pb
from modelog_proto.registry.v1 import search_pb2

from modelog_gateway.mlflow.conditions import conditions_of, order
from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.filters.conditions import Order, parse_order
from modelog_gateway.mlflow.filters.vocabularies import LOGGED_MODELS
from modelog_gateway.mlflow.locations import model_root
from modelog_gateway.mlflow.pages import gathered
from modelog_gateway.mlflow.values import (
    Pair,
    known_id,
    mapped,
    milliseconds,
    number,
    pairs,
    shown_id,
    status_in,
)

# Ours, MLflow's name, the number in MLflow's enumeration.
STATUSES = (
    (pb.LOGGED_MODEL_STATUS_PENDING, "LOGGED_MODEL_PENDING", 1),
    (pb.LOGGED_MODEL_STATUS_READY, "LOGGED_MODEL_READY", 2),
    (pb.LOGGED_MODEL_STATUS_FAILED, "LOGGED_MODEL_UPLOAD_FAILED", 3),
)
STATUS_NAMES: dict[int, str] = {ours: name for ours, name, _ in STATUSES}


class Create(msgspec.Struct):
    experiment_id: str
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[Pair] = []
    tags: list[Pair] = []


class OfModel(msgspec.Struct):
    model_id: str


class Finalise(msgspec.Struct):
    model_id: str
    status: str | int


class SetTags(msgspec.Struct):
    model_id: str
    tags: list[Pair] = []


class DeleteTag(msgspec.Struct):
    model_id: str
    tag_key: str


class LogParameters(msgspec.Struct):
    model_id: str
    params: list[Pair] = []


class OrderBy(msgspec.Struct):
    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class MeasuredOn(msgspec.Struct):
    dataset_name: str
    dataset_digest: str = ""


class Search(msgspec.Struct):
    experiment_ids: list[str]
    filter: str = ""
    datasets: list[MeasuredOn] = []
    max_results: int = 50
    order_by: list[OrderBy] = []
    page_token: str = ""


async def create(registry: Registry, asked: Create) -> Answer:
    request = pb.CreateLoggedModelRequest(
        experiment_id=known_id(asked.experiment_id),
        name=asked.name,
        model_type=asked.model_type,
        source_run_id=asked.source_run_id,
        parameters=mapped(asked.params, "params"),
        tags=mapped(asked.tags, "tags"),
    )
    return await _answer(registry, await registry.logged_models.CreateLoggedModel(request))


async def get(registry: Registry, asked: OfModel) -> Answer:
    request = pb.GetLoggedModelRequest(model_id=asked.model_id)
    return await _answer(registry, await registry.logged_models.GetLoggedModel(request))


async def finalise(registry: Registry, asked: Finalise) -> Answer:
    request = pb.FinaliseLoggedModelRequest(model_id=asked.model_id, status=status_in(STATUSES, asked.status))
    return await _answer(registry, await registry.logged_models.FinaliseLoggedModel(request))


async def delete(registry: Registry, asked: OfModel) -> Answer:
    await registry.logged_models.DeleteLoggedModel(pb.DeleteLoggedModelRequest(model_id=asked.model_id))
    return {}


async def set_tags(registry: Registry, asked: SetTags) -> Answer:
    request = pb.AddToLoggedModelRequest(model_id=asked.model_id, tags=mapped(asked.tags, "tags"))
    return await _answer(registry, await registry.logged_models.AddToLoggedModel(request))


async def delete_tag(registry: Registry, asked: DeleteTag) -> Answer:
    request = pb.AddToLoggedModelRequest(model_id=asked.model_id, removed_tags=[asked.tag_key])
    await registry.logged_models.AddToLoggedModel(request)
    return {}


async def log_parameters(registry: Registry, asked: LogParameters) -> Answer:
    request = pb.AddToLoggedModelRequest(model_id=asked.model_id, parameters=mapped(asked.params, "params"))
    await registry.logged_models.AddToLoggedModel(request)
    return {}


async def search(registry: Registry, asked: Search) -> Answer:
    request = pb.SearchLoggedModelsRequest(
        experiment_ids=[known_id(experiment_id) for experiment_id in asked.experiment_ids],
        conditions=conditions_of(asked.filter, LOGGED_MODELS),
        order_by=[_order(entry) for entry in asked.order_by],
        datasets=[pb.MeasuredOn(dataset_name=d.dataset_name, dataset_digest=d.dataset_digest) for d in asked.datasets],
    )

    async def page_of(page: Page) -> tuple[list[pb.LoggedModel], str]:
        request.page.CopyFrom(page)
        found = await registry.logged_models.SearchLoggedModels(request)
        return list(found.models), found.next_page_token

    found, token = await gathered(page_of, asked.max_results, asked.page_token)
    models = [model_json(model, await registry.locations.of(model.experiment_id)) for model in found]
    return {"models": models} | ({"next_page_token": token} if token else {})


def _order(entry: OrderBy) -> search_pb2.Order:
    named = parse_order(entry.field_name, LOGGED_MODELS)
    found = order(Order(named.kind, named.key, descending=not entry.ascending))
    found.dataset_name, found.dataset_digest = entry.dataset_name, entry.dataset_digest
    return found


async def _answer(registry: Registry, model: pb.LoggedModel) -> Answer:
    return {"model": model_json(model, await registry.locations.of(model.experiment_id))}


def model_json(model: pb.LoggedModel, experiment_root: str) -> dict[str, Any]:
    """`experiment_root` is where the artifacts of its experiment are."""
    return {
        "info": {
            "model_id": model.id,
            "experiment_id": shown_id(model.experiment_id),
            "name": model.name,
            "creation_timestamp_ms": milliseconds(model.created_at),
            "last_updated_timestamp_ms": milliseconds(model.updated_at),
            "artifact_uri": model_root(experiment_root, model.id),
            "status": STATUS_NAMES[model.status],
            "status_message": model.status_message,
            "model_type": model.model_type,
            "source_run_id": model.source_run_id,
            "tags": pairs(model.tags),
        },
        "data": {
            "params": pairs(model.parameters),
            "metrics": [_metric_json(model.id, metric) for metric in model.metrics],
        },
    }


def _metric_json(model_id: str, metric: pb.LoggedModelMetric) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": metric.name,
        "value": number(metric.value),
        "timestamp": milliseconds(metric.at),
        "step": metric.step,
        "model_id": model_id,
        "run_id": metric.run_id,
    }
    if metric.dataset_name:
        found |= {"dataset_name": metric.dataset_name, "dataset_digest": metric.dataset_digest}
    return found


ENDPOINTS = (
    Endpoint("POST", "/logged-models", Create, create),
    Endpoint("POST", "/logged-models/search", Search, search),
    Endpoint("GET", "/logged-models/{model_id}", OfModel, get),
    Endpoint("PATCH", "/logged-models/{model_id}", Finalise, finalise),
    Endpoint("DELETE", "/logged-models/{model_id}", OfModel, delete),
    Endpoint("PATCH", "/logged-models/{model_id}/tags", SetTags, set_tags),
    Endpoint("DELETE", "/logged-models/{model_id}/tags/{tag_key}", DeleteTag, delete_tag),
    Endpoint("POST", "/logged-models/{model_id}/params", LogParameters, log_parameters),
)
