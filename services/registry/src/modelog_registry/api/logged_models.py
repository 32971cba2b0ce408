"""modelog.registry.v1.LoggedModels over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import logged_model_pb2 as pb
from modelog_proto.registry.v1.logged_model_pb2_grpc import LoggedModelsServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.api.values import artifact_of, time_of
from modelog_registry.handle.logged_models import LoggedModels, model_id_of
from modelog_registry.logged_model.commands import (
    AddToLoggedModel,
    CreateLoggedModel,
    DeleteLoggedModel,
    FinaliseLoggedModel,
    MeasuredModel,
    RemoveLoggedModelArtifacts,
)
from modelog_registry.read.runs.logged_models import STATUSES, LoggedModelQueries
from modelog_registry.run.commands import Measured

Call = grpc.aio.ServicerContext[Any, Any]
_STATUSES = {number: status for status, number in STATUSES.items()}


class LoggedModelServicer(LoggedModelsServicer):
    """Models that runs made."""

    def __init__(self, models: LoggedModels, queries: LoggedModelQueries, clock: Clock) -> None:
        self._models, self._queries, self._clock = models, queries, clock

    async def CreateLoggedModel(self, request: pb.CreateLoggedModelRequest, context: Call) -> pb.LoggedModel:
        ctx = command_call(self._clock, request.request_id, "CreateLoggedModel")
        model_id = model_id_of(ctx)
        command = CreateLoggedModel(
            model_id,
            request.experiment_id,
            request.name,
            request.model_type,
            request.source_run_id,
            dict(request.parameters),
            dict(request.tags),
            time_of(request, "created_at"),
        )
        position = await self._models.create(command, ctx)
        return await self._queries.model(model_id, since(position), ctx.tenant)

    async def GetLoggedModel(self, request: pb.GetLoggedModelRequest, context: Call) -> pb.LoggedModel:
        return await self._queries.model(request.model_id, request.read, tenant())

    async def FinaliseLoggedModel(self, request: pb.FinaliseLoggedModelRequest, context: Call) -> pb.LoggedModel:
        ctx = command_call(self._clock, request.request_id, "FinaliseLoggedModel")
        command = FinaliseLoggedModel(request.model_id, _STATUSES[request.status], request.message)
        position = await self._models.handle(command, ctx)
        return await self._queries.model(request.model_id, since(position), ctx.tenant)

    async def AddToLoggedModel(self, request: pb.AddToLoggedModelRequest, context: Call) -> pb.LoggedModel:
        ctx = command_call(self._clock, request.request_id, "AddToLoggedModel")
        position = await self._models.add(_added(request), ctx)
        return await self._queries.model(request.model_id, since(position), ctx.tenant)

    async def RemoveLoggedModelArtifacts(
        self, request: pb.RemoveLoggedModelArtifactsRequest, context: Call
    ) -> pb.LoggedModel:
        ctx = command_call(self._clock, request.request_id, "RemoveLoggedModelArtifacts")
        position = await self._models.remove(RemoveLoggedModelArtifacts(request.model_id, tuple(request.paths)), ctx)
        return await self._queries.model(request.model_id, since(position), ctx.tenant)

    async def DeleteLoggedModel(self, request: pb.DeleteLoggedModelRequest, context: Call) -> pb.LoggedModel:
        ctx = command_call(self._clock, request.request_id, "DeleteLoggedModel")
        position = await self._models.handle(DeleteLoggedModel(request.model_id), ctx)
        return await self._queries.model(request.model_id, since(position), ctx.tenant)

    async def SearchLoggedModels(
        self, request: pb.SearchLoggedModelsRequest, context: Call
    ) -> pb.SearchLoggedModelsResponse:
        found = await self._queries.search(request, tenant())
        return pb.SearchLoggedModelsResponse(models=found.items, next_page_token=found.next_page_token)


def _added(request: pb.AddToLoggedModelRequest) -> AddToLoggedModel:
    return AddToLoggedModel(
        request.model_id,
        dict(request.parameters),
        dict(request.tags),
        tuple(request.removed_tags),
        tuple(_measured(m) for m in request.metrics),
        tuple(artifact_of(a) for a in request.artifacts),
    )


def _measured(metric: pb.LoggedModelMetric) -> MeasuredModel:
    measured = Measured(metric.name, metric.value, metric.step, time_of(metric, "at"))
    return MeasuredModel(measured, metric.run_id, metric.dataset_name, metric.dataset_digest)
