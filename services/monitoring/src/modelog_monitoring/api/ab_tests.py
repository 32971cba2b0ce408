"""modelog.monitoring.v1.AbTests over gRPC."""

from __future__ import annotations

from modelog_common.domain.clock import Clock
from modelog_common.rpc.call import command_context
from modelog_proto.common.v1.common_pb2 import ReadOptions
from modelog_proto.monitoring.v1 import abtest_pb2 as pb
from modelog_proto.monitoring.v1.abtest_pb2_grpc import AbTestsServicer as Contract

from modelog_monitoring.api.monitoring import Call, tenant
from modelog_monitoring.api.parse_ab import plan_of
from modelog_monitoring.handle.ab_tests import AbTests
from modelog_monitoring.read.ab_queries import AbTestQueries


class AbTestsServicer(Contract):
    """A/B tests of versions on the outcomes of their predictions."""

    def __init__(self, tests: AbTests, queries: AbTestQueries, clock: Clock) -> None:
        self._tests, self._queries, self._clock = tests, queries, clock

    async def CreateAbTest(self, request: pb.CreateAbTestRequest, context: Call) -> pb.AbTest:
        ctx = command_context(self._clock, request.request_id)
        position = await self._tests.create(request.name, plan_of(request), ctx)
        return await self._queries.test(request.name, ReadOptions(at_least=position), ctx.tenant)

    async def StartAbTest(self, request: pb.StartAbTestRequest, context: Call) -> pb.AbTest:
        ctx = command_context(self._clock, request.request_id)
        position = await self._tests.start(request.name, ctx)
        return await self._queries.test(request.name, ReadOptions(at_least=position), ctx.tenant)

    async def StopAbTest(self, request: pb.StopAbTestRequest, context: Call) -> pb.AbTest:
        ctx = command_context(self._clock, request.request_id)
        position = await self._tests.stop(request.name, request.reason, ctx)
        return await self._queries.test(request.name, ReadOptions(at_least=position), ctx.tenant)

    async def GetAbTest(self, request: pb.GetAbTestRequest, context: Call) -> pb.AbTest:
        return await self._queries.test(request.name, request.read, tenant())

    async def ListAbTests(self, request: pb.ListAbTestsRequest, context: Call) -> pb.ListAbTestsResponse:
        found = await self._queries.tests(request.deployment, request.page, request.read, tenant())
        return pb.ListAbTestsResponse(tests=found.items, next_page_token=found.next_page_token)

    async def ListAbLooks(self, request: pb.ListAbLooksRequest, context: Call) -> pb.ListAbLooksResponse:
        found = await self._queries.looks(request.name, request.page, request.read, tenant())
        return pb.ListAbLooksResponse(looks=found.items, next_page_token=found.next_page_token)
