"""modelog.registry.v1.Comparisons over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_proto.registry.v1 import compare_pb2 as pb
from modelog_proto.registry.v1.compare_pb2_grpc import ComparisonsServicer

from modelog_registry.api.calls import tenant
from modelog_registry.compare.compare import Comparer

Call = grpc.aio.ServicerContext[Any, Any]


class ComparisonServicer(ComparisonsServicer):
    """What differs between runs, and between model versions."""

    def __init__(self, comparer: Comparer) -> None:
        self._comparer = comparer

    async def CompareRuns(self, request: pb.CompareRunsRequest, context: Call) -> pb.ComparisonReport:
        return await self._comparer.runs(request, tenant())

    async def CompareVersions(self, request: pb.CompareVersionsRequest, context: Call) -> pb.ComparisonReport:
        return await self._comparer.versions(request, tenant())
