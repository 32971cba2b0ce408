"""modelog.monitoring.v1.MonitoringService over gRPC."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc.aio
from modelog_common.domain.clock import Clock
from modelog_common.rpc.call import command_context, current_call
from modelog_common.stores.series import Aggregate
from modelog_proto.common.v1.common_pb2 import ReadOptions
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb
from modelog_proto.monitoring.v1.monitoring_pb2_grpc import MonitoringServiceServicer

from modelog_monitoring.api import parse
from modelog_monitoring.handle.monitors import Monitors, Policies
from modelog_monitoring.read.queries import MonitoringQueries
from modelog_monitoring.read.series import Spans

Call = grpc.aio.ServicerContext[Any, Any]
AGGREGATES: dict[int, Aggregate] = {
    pb.AGGREGATE_UNSPECIFIED: Aggregate.MEAN,
    pb.AGGREGATE_MEAN: Aggregate.MEAN,
    pb.AGGREGATE_MIN: Aggregate.MIN,
    pb.AGGREGATE_MAX: Aggregate.MAX,
    pb.AGGREGATE_COUNT: Aggregate.COUNT,
}


class MonitoringServicer(MonitoringServiceServicer):
    """Monitors, their windows and alerts, and the policies that retrain."""

    def __init__(self, monitors: Monitors, policies: Policies, queries: MonitoringQueries, clock: Clock) -> None:
        self._monitors, self._policies, self._queries, self._clock = monitors, policies, queries, clock

    async def CreateMonitor(self, request: pb.CreateMonitorRequest, context: Call) -> pb.Monitor:
        ctx = command_context(self._clock, request.request_id)
        position = await self._monitors.create(parse.new_monitor(request), ctx)
        return await self._queries.monitor(request.name, ReadOptions(at_least=position), ctx.tenant)

    async def GetMonitor(self, request: pb.GetMonitorRequest, context: Call) -> pb.Monitor:
        return await self._queries.monitor(request.name, request.read, tenant())

    async def ListMonitors(self, request: pb.ListMonitorsRequest, context: Call) -> pb.ListMonitorsResponse:
        found = await self._queries.monitors(request.page, request.read, tenant())
        return pb.ListMonitorsResponse(monitors=found.items, next_page_token=found.next_page_token)

    async def ListWindows(self, request: pb.ListWindowsRequest, context: Call) -> pb.ListWindowsResponse:
        found = await self._queries.windows(request.monitor, request.page, request.read, tenant())
        return pb.ListWindowsResponse(windows=found.items, next_page_token=found.next_page_token)

    async def ListAlerts(self, request: pb.ListAlertsRequest, context: Call) -> pb.ListAlertsResponse:
        found = await self._queries.alerts(request.monitor, request.page, request.read, tenant())
        return pb.ListAlertsResponse(alerts=found.items, next_page_token=found.next_page_token)

    async def CreateRetrainingPolicy(
        self, request: pb.CreateRetrainingPolicyRequest, context: Call
    ) -> pb.RetrainingPolicy:
        ctx = command_context(self._clock, request.request_id)
        position = await self._policies.create(parse.create_policy(request), ctx)
        return await self._queries.policy(request.name, ReadOptions(at_least=position), ctx.tenant)

    async def ListRetrainingPolicies(
        self, request: pb.ListRetrainingPoliciesRequest, context: Call
    ) -> pb.ListRetrainingPoliciesResponse:
        found = await self._queries.policies(request.page, request.read, tenant())
        return pb.ListRetrainingPoliciesResponse(policies=found.items, next_page_token=found.next_page_token)

    async def ListRetrainings(self, request: pb.ListRetrainingsRequest, context: Call) -> pb.ListRetrainingsResponse:
        found = await self._queries.retrainings(request.policy, request.page, request.read, tenant())
        return pb.ListRetrainingsResponse(retrainings=found.items, next_page_token=found.next_page_token)

    async def GetRetraining(self, request: pb.GetRetrainingRequest, context: Call) -> pb.Retraining:
        return await self._queries.retraining(request.retraining_id, request.read, tenant())

    async def ListCanaryLooks(self, request: pb.ListCanaryLooksRequest, context: Call) -> pb.ListCanaryLooksResponse:
        found = await self._queries.canary_looks(request.retraining_id, request.page, request.read, tenant())
        return pb.ListCanaryLooksResponse(looks=found.items, next_page_token=found.next_page_token)

    async def GetSeries(self, request: pb.GetSeriesRequest, context: Call) -> pb.GetSeriesResponse:
        points = await self._queries.series(
            request.monitor, request.metric, request.read, tenant(), spans_of(request.every_s, request.aggregate)
        )
        return pb.GetSeriesResponse(points=points)


def spans_of(every_s: int, aggregate: int) -> Spans | None:
    """The spans of time that points are asked for, None for every point."""
    return Spans(timedelta(seconds=every_s), AGGREGATES.get(aggregate, Aggregate.MEAN)) if every_s else None


def tenant() -> str:
    """The caller's tenant."""
    return current_call().identity.tenant
