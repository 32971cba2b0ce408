"""modelog.registry.v1.DatasetRegistry over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import dataset_pb2 as pb
from modelog_proto.registry.v1.dataset_pb2_grpc import DatasetRegistryServicer

from modelog_registry.api import parse
from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.datasets import Datasets
from modelog_registry.read.queries import RegistryQueries

Call = grpc.aio.ServicerContext[Any, Any]


class DatasetServicer(DatasetRegistryServicer):
    """Datasets, each version named by its content."""

    def __init__(self, datasets: Datasets, queries: RegistryQueries, clock: Clock) -> None:
        self._datasets, self._queries, self._clock = datasets, queries, clock

    async def RegisterDatasetVersion(
        self, request: pb.RegisterDatasetVersionRequest, context: Call
    ) -> pb.DatasetVersion:
        ctx = command_call(self._clock, request.request_id, "RegisterDatasetVersion")
        version, position = await self._datasets.register_version(parse.register_dataset_version(request), ctx)
        return await self._queries.dataset_version(request.dataset, version, since(position), ctx.tenant)

    async def GetDatasetVersion(self, request: pb.GetDatasetVersionRequest, context: Call) -> pb.DatasetVersion:
        return await self._queries.dataset_version(request.dataset, request.version, request.read, tenant())

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Call) -> pb.ListDatasetsResponse:
        found = await self._queries.datasets(request.page, request.read, tenant())
        return pb.ListDatasetsResponse(datasets=found.items, next_page_token=found.next_page_token)

    async def ListDatasetVersions(
        self, request: pb.ListDatasetVersionsRequest, context: Call
    ) -> pb.ListDatasetVersionsResponse:
        found = await self._queries.dataset_versions(request.dataset, request.page, request.read, tenant())
        return pb.ListDatasetVersionsResponse(versions=found.items, next_page_token=found.next_page_token)
