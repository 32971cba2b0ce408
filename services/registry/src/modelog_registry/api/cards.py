"""modelog.registry.v1.ModelCards over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_common.domain.semver import SemanticVersion
from modelog_proto.registry.v1 import card_pb2 as pb
from modelog_proto.registry.v1.card_pb2_grpc import ModelCardsServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.models import Models
from modelog_registry.model.card import EditCard
from modelog_registry.read.models.card_messages import parts_of
from modelog_registry.read.models.card_queries import CardQueries

Call = grpc.aio.ServicerContext[Any, Any]


class CardServicer(ModelCardsServicer):
    """The cards of model versions."""

    def __init__(self, models: Models, queries: CardQueries, clock: Clock) -> None:
        self._models, self._queries, self._clock = models, queries, clock

    async def GetModelCard(self, request: pb.GetModelCardRequest, context: Call) -> pb.ModelCard:
        return await self._queries.card(request.model, request.version, request.read, tenant())

    async def RenderModelCard(self, request: pb.RenderModelCardRequest, context: Call) -> pb.RenderedModelCard:
        return await self._queries.rendered(request.model, request.version, request.read, tenant())

    async def GetModelBom(self, request: pb.GetModelBomRequest, context: Call) -> pb.ModelBom:
        return await self._queries.bom(request.model, request.version, request.read, tenant())

    async def EditModelCard(self, request: pb.EditModelCardRequest, context: Call) -> pb.ModelCard:
        ctx = command_call(self._clock, request.request_id, "EditModelCard")
        version = SemanticVersion.parse(request.version)
        command = EditCard(
            request.model, version, parts_of(request.parts), tuple(request.cleared), request.from_version
        )
        position = await self._models.change(command, ctx)
        return await self._queries.card(request.model, request.version, since(position), ctx.tenant)
