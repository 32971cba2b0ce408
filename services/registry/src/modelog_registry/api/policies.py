"""modelog.registry.v1.PromotionPolicies over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import policy_pb2 as pb
from modelog_proto.registry.v1.policy_pb2_grpc import PromotionPoliciesServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.models import Models
from modelog_registry.policy.commands import SetPolicy
from modelog_registry.read.models.policy_messages import rules_of
from modelog_registry.read.models.policy_queries import PolicyQueries

Call = grpc.aio.ServicerContext[Any, Any]


class PolicyServicer(PromotionPoliciesServicer):
    """The rules of promotions, and what other rules would have done."""

    def __init__(self, models: Models, queries: PolicyQueries, clock: Clock) -> None:
        self._models, self._queries, self._clock = models, queries, clock

    async def SetPromotionPolicy(self, request: pb.SetPromotionPolicyRequest, context: Call) -> pb.PromotionPolicy:
        ctx = command_call(self._clock, request.request_id, "SetPromotionPolicy")
        expected = request.expected_version if request.HasField("expected_version") else None
        position = await self._models.set_policy(SetPolicy(rules_of(request.rules), request.reason, expected), ctx)
        return await self._queries.policy(None, "", since(position), ctx.tenant)

    async def SetWorkspacePolicy(self, request: pb.SetWorkspacePolicyRequest, context: Call) -> pb.PromotionPolicy:
        ctx = command_call(self._clock, request.request_id, "SetWorkspacePolicy")
        expected = request.expected_version if request.HasField("expected_version") else None
        command = SetPolicy(rules_of(request.rules), request.reason, expected, request.workspace)
        position = await self._models.set_policy(command, ctx)
        return await self._queries.policy(None, request.workspace, since(position), ctx.tenant)

    async def GetPromotionPolicy(self, request: pb.GetPromotionPolicyRequest, context: Call) -> pb.PromotionPolicy:
        version = request.version if request.HasField("version") else None
        return await self._queries.policy(version, request.workspace, request.read, tenant())

    async def ListPromotionPolicies(
        self, request: pb.ListPromotionPoliciesRequest, context: Call
    ) -> pb.ListPromotionPoliciesResponse:
        found = await self._queries.policies(request.workspace, request.page, request.read, tenant())
        return pb.ListPromotionPoliciesResponse(policies=found.items, next_page_token=found.next_page_token)

    async def ReplayPromotions(self, request: pb.ReplayPromotionsRequest, context: Call) -> pb.ReplayPromotionsResponse:
        return await self._queries.replay(request, tenant())
