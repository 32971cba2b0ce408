"""modelog.monitoring.v1.ServiceLevels over gRPC."""

from __future__ import annotations

from modelog_proto.monitoring.v1 import level_pb2 as pb
from modelog_proto.monitoring.v1.level_pb2_grpc import ServiceLevelsServicer as Contract

from modelog_monitoring.api.monitoring import Call, tenant
from modelog_monitoring.read.level_queries import LevelQueries


class ServiceLevelsServicer(Contract):
    """How traffic does by the targets that are held with models."""

    def __init__(self, queries: LevelQueries) -> None:
        self._queries = queries

    async def GetServiceLevel(self, request: pb.GetServiceLevelRequest, context: Call) -> pb.ServiceLevel:
        return await self._queries.level(
            request.deployment, request.version, request.period_hours, request.read, tenant()
        )

    async def ListServiceLevels(
        self, request: pb.ListServiceLevelsRequest, context: Call
    ) -> pb.ListServiceLevelsResponse:
        asked = (request.model, request.deployment, request.version, request.period_hours)
        found = await self._queries.levels(*asked, request.page, request.read, tenant())
        return pb.ListServiceLevelsResponse(levels=found.items, next_page_token=found.next_page_token)
