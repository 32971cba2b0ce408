"""MLflow's methods about experiments."""

from __future__ import annotations

import msgspec
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1 import experiment_pb2 as pb

from modelog_gateway.mlflow.conditions import conditions_of, orders_of, view_of
from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.filters.vocabularies import EXPERIMENTS
from modelog_gateway.mlflow.locations import experiment_root
from modelog_gateway.mlflow.pages import gathered
from modelog_gateway.mlflow.values import (
    DEFAULT_NAME,
    Pair,
    known_id,
    mapped,
    milliseconds,
    pairs,
    shown_id,
)
from modelog_gateway.mlflow.working import check_here, working_place


class Create(msgspec.Struct):
    name: str
    artifact_location: str = ""
    tags: list[Pair] = []


class OfId(msgspec.Struct):
    experiment_id: str


class OfName(msgspec.Struct):
    experiment_name: str


class Rename(msgspec.Struct):
    experiment_id: str
    new_name: str | None = None


class Tag(msgspec.Struct):
    experiment_id: str
    key: str
    value: str = ""


class Search(msgspec.Struct):
    filter: str = ""
    order_by: list[str] = []
    max_results: int = 1000
    page_token: str = ""
    view_type: str | int = "ACTIVE_ONLY"


async def create(registry: Registry, asked: Create) -> Answer:
    request = pb.CreateExperimentRequest(
        name=asked.name,
        artifact_location=asked.artifact_location,
        tags=mapped(asked.tags, "tags"),
        must_be_new=True,
        # Default is one of the whole tenant.
        workspace="" if asked.name == DEFAULT_NAME else working_place(),
    )
    made = await registry.experiments.CreateExperiment(request)
    registry.locations.learn(made)
    return {"experiment_id": shown_id(made.id)}


async def get(registry: Registry, asked: OfId) -> Answer:
    request = pb.GetExperimentByIdRequest(experiment_id=known_id(asked.experiment_id))
    return {"experiment": experiment_json(await registry.experiments.GetExperimentById(request))}


async def get_by_name(registry: Registry, asked: OfName) -> Answer:
    found = await registry.experiments.GetExperiment(pb.GetExperimentRequest(name=asked.experiment_name))
    if found.name != DEFAULT_NAME:
        check_here(found.workspace, f"experiment {found.name!r}")
    return {"experiment": experiment_json(found)}


async def search(registry: Registry, asked: Search) -> Answer:
    request = pb.SearchExperimentsRequest(
        conditions=conditions_of(asked.filter, EXPERIMENTS),
        # MLflow shows the newest first when nobody says otherwise.
        order_by=orders_of(asked.order_by or ["creation_time DESC"], EXPERIMENTS),
        view=view_of(asked.view_type, "view_type"),
        workspace=working_place(),
    )

    async def page_of(page: Page) -> tuple[list[pb.Experiment], str]:
        request.page.CopyFrom(page)
        found = await registry.experiments.SearchExperiments(request)
        return list(found.experiments), found.next_page_token

    found, token = await gathered(page_of, asked.max_results, asked.page_token)
    answer: Answer = {"experiments": [experiment_json(experiment) for experiment in found]}
    return answer | ({"next_page_token": token} if token else {})


async def rename(registry: Registry, asked: Rename) -> Answer:
    request = pb.UpdateExperimentRequest(experiment_id=known_id(asked.experiment_id), name=asked.new_name)
    await registry.experiments.UpdateExperiment(request)
    return {}


async def delete(registry: Registry, asked: OfId) -> Answer:
    request = pb.DeleteExperimentRequest(experiment_id=known_id(asked.experiment_id))
    await registry.experiments.DeleteExperiment(request)
    return {}


async def restore(registry: Registry, asked: OfId) -> Answer:
    request = pb.RestoreExperimentRequest(experiment_id=known_id(asked.experiment_id))
    await registry.experiments.RestoreExperiment(request)
    return {}


async def set_tag(registry: Registry, asked: Tag) -> Answer:
    experiment_id = known_id(asked.experiment_id)
    request = pb.SetExperimentTagsRequest(experiment_id=experiment_id, tags={asked.key: asked.value})
    await registry.experiments.SetExperimentTags(request)
    return {}


async def delete_tag(registry: Registry, asked: Tag) -> Answer:
    request = pb.SetExperimentTagsRequest(experiment_id=known_id(asked.experiment_id), removed=[asked.key])
    await registry.experiments.SetExperimentTags(request)
    return {}


def experiment_json(experiment: pb.Experiment) -> Answer:
    return {
        "experiment_id": shown_id(experiment.id),
        "name": experiment.name,
        "artifact_location": experiment_root(experiment),
        "lifecycle_stage": "deleted" if experiment.HasField("deleted_at") else "active",
        "creation_time": milliseconds(experiment.created_at),
        "last_update_time": milliseconds(experiment.updated_at),
        "tags": pairs(experiment.tags),
    }


ENDPOINTS = (
    Endpoint("POST", "/experiments/create", Create, create),
    Endpoint("GET", "/experiments/get", OfId, get),
    Endpoint("GET", "/experiments/get-by-name", OfName, get_by_name),
    Endpoint("GET", "/experiments/search", Search, search),
    Endpoint("POST", "/experiments/search", Search, search),
    Endpoint("POST", "/experiments/update", Rename, rename),
    Endpoint("POST", "/experiments/delete", OfId, delete),
    Endpoint("POST", "/experiments/restore", OfId, restore),
    Endpoint("POST", "/experiments/set-experiment-tag", Tag, set_tag),
    Endpoint("POST", "/experiments/delete-experiment-tag", Tag, delete_tag),
)
