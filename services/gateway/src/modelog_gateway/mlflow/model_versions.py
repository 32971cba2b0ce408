"""MLflow's methods about versions of registered models; a number there is a version's place among all of its model."""

from __future__ import annotations

import msgspec
from modelog_common.domain.errors import Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1 import search_pb2

from modelog_gateway.mlflow.conditions import conditions_of, orders_of
from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.filters.conditions import Vocabulary
from modelog_gateway.mlflow.model_files import downloaded_from, found_at
from modelog_gateway.mlflow.pages import gathered
from modelog_gateway.mlflow.registry_json import MODEL_ID_TAG, RUN_LINK_TAG, stage_of, version_json
from modelog_gateway.mlflow.values import Pair, mapped
from modelog_gateway.mlflow.working import check_here, working_place

SEARCHED = Vocabulary(
    texts=("name", "run_id", "source_path"),
    numbers=("version_number", "creation_timestamp", "last_updated_timestamp"),
    listed=("name", "run_id", "source_path"),
)
# Their names here.
RENAMED = {"name": "model", "version_number": "number", "source_path": "source"}


class Create(msgspec.Struct):
    name: str
    source: str
    run_id: str = ""
    tags: list[Pair] = []
    run_link: str = ""
    description: str = ""
    model_id: str = ""


class OfVersion(msgspec.Struct):
    name: str
    version: str


class Update(msgspec.Struct):
    name: str
    version: str
    description: str = ""


class Transition(msgspec.Struct):
    name: str
    version: str
    stage: str
    archive_existing_versions: bool = False


class SetTag(msgspec.Struct):
    name: str
    version: str
    key: str
    value: str = ""


class DeleteTag(msgspec.Struct):
    name: str
    version: str
    key: str


class Search(msgspec.Struct):
    filter: str = ""
    max_results: int = 10_000
    order_by: list[str] = []
    page_token: str = ""


async def create(registry: Registry, asked: Create) -> Answer:
    """The files of a run's folder become the version's own, with what their MLmodel tells; of a source elsewhere only
    the address is kept.
    """
    if working_place():
        # Another workspace may have a model of this name, to which a client that works here adds nothing by mistake.
        model = await registry.models.GetModel(pb.GetModelRequest(name=asked.name))
        check_here(model.workspace, f"model {asked.name!r}")
    tags = mapped(asked.tags, "tags")
    tags |= {MODEL_ID_TAG: asked.model_id} if asked.model_id else {}
    tags |= {RUN_LINK_TAG: asked.run_link} if asked.run_link else {}
    files = await found_at(registry, asked.source)
    request = pb.RegisterVersionRequest(
        model=asked.name,
        description=asked.description,
        run_id=asked.run_id or files.run_id,
        artifacts=files.artifacts,
        tags=tags,
        source=asked.source,
        from_mlmodel=True,
    )
    return {"model_version": version_json(await registry.models.RegisterVersion(request))}


async def get(registry: Registry, asked: OfVersion) -> Answer:
    return {"model_version": version_json(await numbered(registry, asked.name, asked.version))}


async def update(registry: Registry, asked: Update) -> Answer:
    known = await numbered(registry, asked.name, asked.version)
    request = pb.UpdateVersionRequest(model=known.model, version=known.version, description=asked.description)
    return {"model_version": version_json(await registry.models.UpdateVersion(request))}


async def transition(registry: Registry, asked: Transition) -> Answer:
    """What our rules refuse is refused with their reason: a stage cannot be clicked past an approval."""
    stage = stage_of(asked.stage)
    known = await numbered(registry, asked.name, asked.version)
    request = pb.PromoteVersionRequest(
        model=known.model,
        version=known.version,
        stage=stage,
        archive_others=asked.archive_existing_versions,
    )
    try:
        return {"model_version": version_json(await registry.models.PromoteVersion(request))}
    except NotAllowed as rule:
        raise Forbidden(str(rule)) from rule


async def delete(registry: Registry, asked: OfVersion) -> Answer:
    known = await numbered(registry, asked.name, asked.version)
    try:
        await registry.models.DeleteVersion(pb.DeleteVersionRequest(model=known.model, version=known.version))
    except NotAllowed as rule:
        raise Forbidden(str(rule)) from rule
    return {}


async def set_tag(registry: Registry, asked: SetTag) -> Answer:
    known = await numbered(registry, asked.name, asked.version)
    request = pb.SetVersionTagsRequest(model=known.model, version=known.version, tags={asked.key: asked.value})
    await registry.models.SetVersionTags(request)
    return {}


async def delete_tag(registry: Registry, asked: DeleteTag) -> Answer:
    known = await numbered(registry, asked.name, asked.version)
    request = pb.SetVersionTagsRequest(model=known.model, version=known.version, removed=[asked.key])
    await registry.models.SetVersionTags(request)
    return {}


async def search(registry: Registry, asked: Search) -> Answer:
    request = pb.SearchVersionsRequest(
        conditions=conditions_of(asked.filter, SEARCHED), order_by=orders_of(asked.order_by, SEARCHED)
    )
    for condition in request.conditions:
        if condition.field == search_pb2.FIELD_ATTRIBUTE:
            condition.key = RENAMED.get(condition.key, condition.key)
    for order in request.order_by:
        if order.field == search_pb2.FIELD_ATTRIBUTE:
            order.key = RENAMED.get(order.key, order.key)

    async def page_of(page: Page) -> tuple[list[pb.ModelVersion], str]:
        request.page.CopyFrom(page)
        found = await registry.models.SearchVersions(request)
        return list(found.versions), found.next_page_token

    found, token = await gathered(page_of, asked.max_results, asked.page_token)
    versions = [version_json(version) for version in found]
    return {"model_versions": versions} | ({"next_page_token": token} if token else {})


async def download_uri(registry: Registry, asked: OfVersion) -> Answer:
    known = await numbered(registry, asked.name, asked.version)
    return {"artifact_uri": await downloaded_from(registry, known.source)}


async def numbered(registry: Registry, model: str, version: str) -> pb.ModelVersion:
    """A version by the number that MLflow knows it by; raises NotFound or Invalid."""
    if not version.isdecimal() or len(version) > 9:
        raise Invalid.field("version", f"is {version!r}; it must be the number of a version, such as 1")
    is_model = search_pb2.Condition(
        field=search_pb2.FIELD_ATTRIBUTE, key="model", comparison=search_pb2.COMPARISON_EQUAL, text=model
    )
    has_number = search_pb2.Condition(
        field=search_pb2.FIELD_ATTRIBUTE, key="number", comparison=search_pb2.COMPARISON_EQUAL, number=int(version)
    )
    found = await registry.models.SearchVersions(pb.SearchVersionsRequest(conditions=[is_model, has_number]))
    if not found.versions:
        raise NotFound(f"Model Version (name={model}, version={version}) not found")
    return found.versions[0]


ENDPOINTS = (
    Endpoint("POST", "/model-versions/create", Create, create),
    Endpoint("GET", "/model-versions/get", OfVersion, get),
    Endpoint("PATCH", "/model-versions/update", Update, update),
    Endpoint("POST", "/model-versions/transition-stage", Transition, transition),
    Endpoint("DELETE", "/model-versions/delete", OfVersion, delete),
    Endpoint("GET", "/model-versions/search", Search, search),
    Endpoint("GET", "/model-versions/get-download-uri", OfVersion, download_uri),
    Endpoint("POST", "/model-versions/set-tag", SetTag, set_tag),
    Endpoint("DELETE", "/model-versions/delete-tag", DeleteTag, delete_tag),
)
