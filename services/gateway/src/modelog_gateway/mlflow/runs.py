"""MLflow's methods about runs: from their start to their deletion, and the search for them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1 import experiment_pb2 as pb

from modelog_gateway.mlflow.conditions import RUN_NAME_TAG, conditions_of, orders_of, view_of
from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.filters.vocabularies import RUNS
from modelog_gateway.mlflow.pages import gathered
from modelog_gateway.mlflow.run_json import STATUSES, run_json
from modelog_gateway.mlflow.values import DEFAULT_ID, Int64, Pair, known_id, mapped, status_in, timestamp

ENDED = (pb.RUN_STATUS_COMPLETED, pb.RUN_STATUS_FAILED, pb.RUN_STATUS_CANCELLED)
PARENT_TAG = "mlflow.parentRunId"


class Create(msgspec.Struct):
    experiment_id: str = DEFAULT_ID
    run_name: str = ""
    start_time: Int64 = 0
    tags: list[Pair] = []


class OfRun(msgspec.Struct):
    """Old clients send `run_uuid`, newer ones both."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def id(self) -> str:
        return self.run_id or self.run_uuid


class Update(OfRun):
    status: str | int = 0
    end_time: Int64 = 0
    run_name: str = ""


class Tag(OfRun, kw_only=True):
    key: str
    value: str = ""


class Search(msgspec.Struct):
    experiment_ids: list[str] = []
    filter: str = ""
    order_by: list[str] = []
    max_results: int = 1000
    page_token: str = ""
    run_view_type: str | int = "ACTIVE_ONLY"


async def create(registry: Registry, asked: Create) -> Answer:
    tags = mapped(asked.tags, "tags")
    name = asked.run_name or tags.get(RUN_NAME_TAG, "")
    request = pb.StartRunRequest(
        name=name,
        tags={key: value for key, value in tags.items() if key != RUN_NAME_TAG},
        # Without one it is "Default", which is made when it is needed.
        experiment_id="" if asked.experiment_id == DEFAULT_ID else asked.experiment_id,
        parent_run_id=tags.get(PARENT_TAG, ""),
        started_at=timestamp(asked.start_time) if asked.start_time else None,
    )
    run = await registry.starts.send(request)
    return {"run": run_json(run, await registry.locations.of(run.experiment_id))}


async def get(registry: Registry, asked: OfRun) -> Answer:
    run = await registry.experiments.GetRun(pb.GetRunRequest(run_id=asked.id, without_points=True))
    return {"run": run_json(run, await registry.locations.of(run.experiment_id))}


async def update(registry: Registry, asked: Update) -> Answer:
    status = status_of(asked.status)
    # Old clients repeat the last end when they resume a run.
    ends = status in ENDED and asked.end_time
    request = pb.UpdateRunRequest(
        run_id=asked.id,
        name=asked.run_name or None,
        status=status,
        ended_at=timestamp(asked.end_time) if ends else None,
    )
    run = await registry.experiments.UpdateRun(request)
    return {"run_info": run_json(run, await registry.locations.of(run.experiment_id))["info"]}


def status_of(given: str | int) -> pb.RunStatus.ValueType:
    """By MLflow's name, or by the number of its enumeration."""
    if not given:
        return pb.RUN_STATUS_UNSPECIFIED
    return status_in(STATUSES, given)


async def delete(registry: Registry, asked: OfRun) -> Answer:
    await registry.experiments.DeleteRun(pb.DeleteRunRequest(run_id=asked.id))
    return {}


async def restore(registry: Registry, asked: OfRun) -> Answer:
    await registry.experiments.RestoreRun(pb.RestoreRunRequest(run_id=asked.id))
    return {}


async def set_tag(registry: Registry, asked: Tag) -> Answer:
    await set_tags(registry, asked.id, {asked.key: asked.value})
    return {}


async def set_tags(registry: Registry, run_id: str, tags: dict[str, str]) -> None:
    """A run's name is also a tag to MLflow."""
    name = tags.pop(RUN_NAME_TAG, None)
    if name is not None:
        await registry.experiments.UpdateRun(pb.UpdateRunRequest(run_id=run_id, name=name))
    if tags:
        await registry.experiments.SetRunTags(pb.SetRunTagsRequest(run_id=run_id, tags=tags))


async def delete_tag(registry: Registry, asked: Tag) -> Answer:
    await registry.experiments.DeleteRunTag(pb.DeleteRunTagRequest(run_id=asked.id, key=asked.key))
    return {}


async def search(registry: Registry, asked: Search) -> Answer:
    if not asked.experiment_ids:
        return {"runs": []}
    request = pb.SearchRunsRequest(
        experiment_ids=[known_id(experiment_id) for experiment_id in asked.experiment_ids],
        conditions=conditions_of(asked.filter, RUNS),
        order_by=orders_of(asked.order_by, RUNS),
        view=view_of(asked.run_view_type, "run_view_type"),
        encoded=True,
    )

    async def page_of(page: Page) -> tuple[Sequence[bytes], str]:
        request.page.CopyFrom(page)
        found = await registry.experiments.SearchRuns(request)
        return found.encoded_runs, found.next_page_token

    async def shown(encoded: bytes) -> Answer:
        run = pb.Run.FromString(encoded)
        return run_json(run, await registry.locations.of(run.experiment_id))

    found, token = await gathered(page_of, asked.max_results, asked.page_token)
    runs = await registry.shown.each("run", found, shown)
    return {"runs": runs} | ({"next_page_token": token} if token else {})


ENDPOINTS = (
    Endpoint("POST", "/runs/create", Create, create),
    Endpoint("GET", "/runs/get", OfRun, get),
    Endpoint("POST", "/runs/update", Update, update),
    Endpoint("POST", "/runs/delete", OfRun, delete),
    Endpoint("POST", "/runs/restore", OfRun, restore),
    Endpoint("POST", "/runs/set-tag", Tag, set_tag),
    Endpoint("POST", "/runs/delete-tag", Tag, delete_tag),
    Endpoint("POST", "/runs/search", Search, search),
)
