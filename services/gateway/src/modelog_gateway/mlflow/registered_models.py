"""MLflow's methods about registered models and their aliases."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from modelog_common.domain.errors import Forbidden, NotAllowed
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1 import search_pb2

from modelog_gateway.mlflow.conditions import conditions_of, orders_of
from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.filters.conditions import Vocabulary
from modelog_gateway.mlflow.model_versions import numbered
from modelog_gateway.mlflow.pages import gathered
from modelog_gateway.mlflow.registry_json import latest, model_json, stage_of, version_json
from modelog_gateway.mlflow.values import Pair, mapped
from modelog_gateway.mlflow.working import check_here, working_place

SEARCHED = Vocabulary(
    texts=("name",),
    numbers=("creation_timestamp", "last_updated_timestamp"),
    listed=("name",),
    aliases={"timestamp": "last_updated_timestamp"},
)
# Clients leave prompts out by asking for models of which this tag is not "true"; a model has no such tag.
PROMPT_TAG = "mlflow.prompt.is_prompt"


class Create(msgspec.Struct):
    name: str
    tags: list[Pair] = []
    description: str = ""


class OfName(msgspec.Struct):
    name: str


class Update(msgspec.Struct):
    name: str
    description: str = ""


class Rename(msgspec.Struct):
    name: str
    new_name: str


class SetTag(msgspec.Struct):
    name: str
    key: str
    value: str = ""


class DeleteTag(msgspec.Struct):
    name: str
    key: str


class Search(msgspec.Struct):
    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


class Latest(msgspec.Struct):
    name: str
    stages: list[str] = []


class SetAlias(msgspec.Struct):
    name: str
    alias: str
    version: str


class OfAlias(msgspec.Struct):
    name: str
    alias: str


async def create(registry: Registry, asked: Create) -> Answer:
    request = pb.RegisterModelRequest(
        name=asked.name,
        description=asked.description,
        tags=mapped(asked.tags, "tags"),
        must_be_new=True,
        workspace=working_place(),
    )
    return {"registered_model": model_json(await registry.models.RegisterModel(request))}


async def get(registry: Registry, asked: OfName) -> Answer:
    found = await registry.models.GetModel(pb.GetModelRequest(name=asked.name))
    check_here(found.workspace, f"model {found.name!r}")
    return {"registered_model": model_json(found)}


async def update(registry: Registry, asked: Update) -> Answer:
    request = pb.UpdateModelRequest(name=asked.name, description=asked.description)
    return {"registered_model": model_json(await registry.models.UpdateModel(request))}


async def rename(registry: Registry, asked: Rename) -> Answer:
    """What deployments know by its name keeps it, and whoever asked is told which they are."""
    request = pb.RenameModelRequest(name=asked.name, new_name=asked.new_name)
    try:
        return {"registered_model": model_json(await registry.models.RenameModel(request))}
    except NotAllowed as rule:
        raise Forbidden(str(rule)) from rule


async def delete(registry: Registry, asked: OfName) -> Answer:
    try:
        await registry.models.DeleteModel(pb.DeleteModelRequest(name=asked.name))
    except NotAllowed as rule:
        raise Forbidden(str(rule)) from rule
    return {}


async def set_tag(registry: Registry, asked: SetTag) -> Answer:
    await registry.models.SetModelTags(pb.SetModelTagsRequest(name=asked.name, tags={asked.key: asked.value}))
    return {}


async def delete_tag(registry: Registry, asked: DeleteTag) -> Answer:
    await registry.models.SetModelTags(pb.SetModelTagsRequest(name=asked.name, removed=[asked.key]))
    return {}


async def search(registry: Registry, asked: Search) -> Answer:
    request = pb.SearchModelsRequest(
        conditions=conditions_of(asked.filter, SEARCHED),
        order_by=orders_of(asked.order_by, SEARCHED),
        newest_versions_only=True,
        workspace=working_place(),
        encoded=True,
    )

    for condition in request.conditions:
        if condition.key == PROMPT_TAG and condition.comparison == search_pb2.COMPARISON_NOT_EQUAL:
            condition.comparison = search_pb2.COMPARISON_IS_NULL

    async def page_of(page: Page) -> tuple[Sequence[bytes], str]:
        request.page.CopyFrom(page)
        found = await registry.models.SearchModels(request)
        return found.encoded_models, found.next_page_token

    async def shown(encoded: bytes) -> Answer:
        return model_json(pb.Model.FromString(encoded))

    found, token = await gathered(page_of, asked.max_results, asked.page_token)
    models = await registry.shown.each("model", found, shown)
    return {"registered_models": models} | ({"next_page_token": token} if token else {})


async def latest_versions(registry: Registry, asked: Latest) -> Answer:
    stages = [stage_of(stage, f"stages[{n}]") for n, stage in enumerate(asked.stages)]
    model = await registry.models.GetModel(pb.GetModelRequest(name=asked.name))
    return {"model_versions": [version_json(version) for version in latest(model.versions, stages)]}


async def set_alias(registry: Registry, asked: SetAlias) -> Answer:
    version = await numbered(registry, asked.name, asked.version)
    request = pb.SetAliasRequest(model=asked.name, alias=asked.alias, version=version.version)
    await registry.models.SetAlias(request)
    return {}


async def get_by_alias(registry: Registry, asked: OfAlias) -> Answer:
    request = pb.GetVersionByAliasRequest(model=asked.name, alias=asked.alias)
    return {"model_version": version_json(await registry.models.GetVersionByAlias(request))}


async def delete_alias(registry: Registry, asked: OfAlias) -> Answer:
    await registry.models.DeleteAlias(pb.DeleteAliasRequest(model=asked.name, alias=asked.alias))
    return {}


ENDPOINTS = (
    Endpoint("POST", "/registered-models/create", Create, create),
    Endpoint("GET", "/registered-models/get", OfName, get),
    Endpoint("PATCH", "/registered-models/update", Update, update),
    Endpoint("POST", "/registered-models/rename", Rename, rename),
    Endpoint("DELETE", "/registered-models/delete", OfName, delete),
    Endpoint("GET", "/registered-models/search", Search, search),
    Endpoint("POST", "/registered-models/set-tag", SetTag, set_tag),
    Endpoint("DELETE", "/registered-models/delete-tag", DeleteTag, delete_tag),
    Endpoint("POST", "/registered-models/get-latest-versions", Latest, latest_versions),
    Endpoint("GET", "/registered-models/get-latest-versions", Latest, latest_versions),
    Endpoint("POST", "/registered-models/alias", SetAlias, set_alias),
    Endpoint("GET", "/registered-models/alias", OfAlias, get_by_alias),
    Endpoint("DELETE", "/registered-models/alias", OfAlias, delete_alias),
)
