"""Answers about logged models, as of a moment, for one tenant, and the rows that they are read from."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.events.store import StoredEvent
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Queries
from modelog_common.read.tables import Change, Put
from modelog_proto.registry.v1 import logged_model_pb2 as pb
from modelog_proto.registry.v1 import model_pb2, search_pb2
from sqlalchemy import select

from modelog_registry.logged_model.events import LoggedModelCreated, LoggedModelStatus, ModelMetric
from modelog_registry.logged_model.state import LoggedModel
from modelog_registry.read.columns import microseconds
from modelog_registry.read.conditions import check, holds, sorted_by
from modelog_registry.read.messages import timestamp
from modelog_registry.read.queries import existing
from modelog_registry.read.runs.values import text_of
from modelog_registry.read.tables import LOGGED_MODELS

STATUSES = {
    LoggedModelStatus.PENDING: pb.LOGGED_MODEL_STATUS_PENDING,
    LoggedModelStatus.READY: pb.LOGGED_MODEL_STATUS_READY,
    LoggedModelStatus.FAILED: pb.LOGGED_MODEL_STATUS_FAILED,
}
ATTRIBUTES: dict[str, type] = {
    "model_id": str,
    "name": str,
    "status": str,
    "model_type": str,
    "source_run_id": str,
    "creation_time": float,
    "last_update_time": float,
}
FIELDS = (search_pb2.FIELD_ATTRIBUTE, search_pb2.FIELD_METRIC, search_pb2.FIELD_PARAMETER, search_pb2.FIELD_TAG)


def logged_model_rows(model: LoggedModel, stored: StoredEvent) -> Sequence[Change]:
    if model.created is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the logged model was created")
    body = logged_model_message(model, model.created, stored.position).SerializeToString()
    values = {
        "experiment_id": model.created.experiment_id,
        "hidden": int(model.deleted_at is not None),
        "created_us": microseconds(model.created.created_at or model.created.at),
    }
    return [Put(LOGGED_MODELS, {"model_id": model.created.model_id}, body, values)]


def logged_model_message(model: LoggedModel, created: LoggedModelCreated, position: int) -> pb.LoggedModel:
    return pb.LoggedModel(
        id=created.model_id,
        experiment_id=created.experiment_id,
        name=created.name,
        model_type=created.model_type,
        source_run_id=created.source_run_id,
        status=STATUSES[model.status],
        status_message=model.status_message,
        parameters=model.parameters,
        tags=model.tags,
        metrics=[_metric(m) for m in model.metrics.values()],
        artifacts=[
            model_pb2.Artifact(path=a.path, digest=a.digest, size_bytes=a.size_bytes) for a in model.artifacts.values()
        ],
        author=created.author,
        created_at=timestamp(created.created_at or created.at),
        recorded_at=timestamp(created.at),
        updated_at=timestamp(model.updated_at or created.at),
        deleted_at=timestamp(model.deleted_at) if model.deleted_at is not None else None,
        position=position,
    )


def _metric(metric: ModelMetric) -> pb.LoggedModelMetric:
    return pb.LoggedModelMetric(
        name=metric.name,
        value=float(metric.value),
        step=metric.step,
        at=timestamp(metric.at),
        run_id=metric.run_id,
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
    )


class LoggedModelQueries:
    """What does not exist as of the moment raises NotFound."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def model(self, model_id: str, read: ReadOptions, tenant: str) -> pb.LoggedModel:
        found = await self._queries.one(LOGGED_MODELS, pb.LoggedModel, read, tenant, model_id=model_id)
        return existing(found, f"there is no logged model {model_id!r}", read)

    async def search(self, request: pb.SearchLoggedModelsRequest, tenant: str) -> Found[pb.LoggedModel]:
        """All of the experiments are looked at, newest first if no order is asked for."""
        check(request.conditions, request.order_by, ATTRIBUTES, FIELDS, measured_on_datasets=True)

        async def ids_at(at: int, offset: int, limit: int) -> Sequence[str]:
            t = LOGGED_MODELS.table.c
            where = await self._queries.rows_of(LOGGED_MODELS, tenant, at)
            if request.experiment_ids:
                where.append(t.experiment_id.in_(request.experiment_ids))
            if request.view != search_pb2.VIEW_ALL:
                where.append(t.hidden == int(request.view == search_pb2.VIEW_DELETED))
            newest = (t.created_us.desc(), t.model_id)
            rows = await self._queries.fetch(select(t.body).where(*where).order_by(*newest))
            models = [pb.LoggedModel.FromString(row.body) for row in rows]
            met = [m for m in models if _meets(m, request)]
            return [m.id for m in sorted_by(met, request.order_by, _value_of)[offset : offset + limit]]

        return await self._queries.search(LOGGED_MODELS, pb.LoggedModel, request.read, tenant, request.page, ids_at)


def _meets(model: pb.LoggedModel, request: pb.SearchLoggedModelsRequest) -> bool:
    """Whether all conditions hold; those on metrics are about what was measured on the datasets that are asked for."""
    measured = [m for m in model.metrics if not request.datasets or any(_was_on(m, d) for d in request.datasets)]
    for condition in request.conditions:
        if condition.field == search_pb2.FIELD_METRIC:
            values: list[float | None] = [m.value for m in measured if m.name == condition.key]
            if not any(holds(condition, value) for value in values or [None]):
                return False
        elif not holds(condition, _value_of(model, condition)):
            return False
    about_metrics = any(condition.field == search_pb2.FIELD_METRIC for condition in request.conditions)
    return bool(measured) or about_metrics or not request.datasets


def _was_on(metric: pb.LoggedModelMetric, asked: pb.MeasuredOn | search_pb2.Order) -> bool:
    """Whether a metric was measured on a dataset; what is not asked for may be anything."""
    named = not asked.dataset_name or metric.dataset_name == asked.dataset_name
    return named and (not asked.dataset_digest or metric.dataset_digest == asked.dataset_digest)


def _latest(model: pb.LoggedModel, order: search_pb2.Order) -> float | None:
    measured = [m for m in model.metrics if m.name == order.key and _was_on(m, order)]
    return max(measured, key=lambda m: (m.at.ToNanoseconds(), m.step)).value if measured else None


def _value_of(model: pb.LoggedModel, asked: search_pb2.Condition | search_pb2.Order) -> str | float | None:
    key = asked.key
    if isinstance(asked, search_pb2.Order) and asked.field == search_pb2.FIELD_METRIC:
        return _latest(model, asked)
    match asked.field:
        case search_pb2.FIELD_PARAMETER:
            return model.parameters.get(key)
        case search_pb2.FIELD_TAG:
            return model.tags.get(key)
    if key == "status":
        return pb.LoggedModelStatus.Name(model.status).removeprefix("LOGGED_MODEL_STATUS_")
    times: dict[str, Timestamp] = {"creation_time": model.created_at, "last_update_time": model.updated_at}
    if key in times:
        return times[key].ToMilliseconds()
    return text_of(getattr(model, {"model_id": "id"}.get(key, key)))
