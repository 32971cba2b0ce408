"""modelog.registry.v1.Retirements and ModelSlas over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_common.domain.semver import SemanticVersion
from modelog_proto.registry.v1 import retire_pb2 as pb
from modelog_proto.registry.v1 import sla_pb2
from modelog_proto.registry.v1.retire_pb2_grpc import RetirementsServicer
from modelog_proto.registry.v1.sla_pb2_grpc import ModelSlasServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.models import Models
from modelog_registry.handle.retiring import Retiring
from modelog_registry.model.retired import ObjectToRetirement, SetSla
from modelog_registry.read.models.retirements import STATE_OF, RetirementQueries, retirement_rules_of, targets_of
from modelog_registry.retirement.policy import SetRetirement

Call = grpc.aio.ServicerContext[Any, Any]


class RetirementServicer(RetirementsServicer):
    """The rules of retirement, and what follows from them."""

    def __init__(self, retiring: Retiring, models: Models, queries: RetirementQueries, clock: Clock) -> None:
        self._retiring, self._models, self._queries, self._clock = retiring, models, queries, clock

    async def SetRetirementPolicy(self, request: pb.SetRetirementPolicyRequest, context: Call) -> pb.RetirementPolicy:
        ctx = command_call(self._clock, request.request_id, "SetRetirementPolicy")
        expected = request.expected_version if request.HasField("expected_version") else None
        command = SetRetirement(retirement_rules_of(request.rules), request.reason, expected)
        position = await self._retiring.set_policy(command, ctx)
        return await self._queries.policy(None, since(position), ctx.tenant)

    async def GetRetirementPolicy(self, request: pb.GetRetirementPolicyRequest, context: Call) -> pb.RetirementPolicy:
        version = request.version if request.HasField("version") else None
        return await self._queries.policy(version, request.read, tenant())

    async def ListRetirements(self, request: pb.ListRetirementsRequest, context: Call) -> pb.ListRetirementsResponse:
        state = STATE_OF.get(request.state)
        found = await self._queries.retirements(request.model, state, request.page, request.read, tenant())
        return pb.ListRetirementsResponse(retirements=found.items, next_page_token=found.next_page_token)

    async def ObjectToRetirement(self, request: pb.ObjectToRetirementRequest, context: Call) -> pb.Retirement:
        ctx = command_call(self._clock, request.request_id, "ObjectToRetirement")
        command = ObjectToRetirement(request.model, SemanticVersion.parse(request.version), request.reason)
        position = await self._models.change(command, ctx)
        return await self._queries.retirement(request.model, request.version, since(position), ctx.tenant)

    async def CheckRetirements(self, request: pb.CheckRetirementsRequest, context: Call) -> pb.CheckRetirementsResponse:
        considered, changed, position = await self._retiring.check(tenant())
        await self._queries.cover(position)
        return pb.CheckRetirementsResponse(considered=considered, changed=changed)


class SlaServicer(ModelSlasServicer):
    """The service level targets of models."""

    def __init__(self, models: Models, queries: RetirementQueries, clock: Clock) -> None:
        self._models, self._queries, self._clock = models, queries, clock

    async def SetModelSla(self, request: sla_pb2.SetModelSlaRequest, context: Call) -> sla_pb2.ModelSla:
        ctx = command_call(self._clock, request.request_id, "SetModelSla")
        expected = request.expected_version if request.HasField("expected_version") else None
        command = SetSla(request.model, targets_of(request.targets), request.reason, expected)
        position = await self._models.change(command, ctx)
        return await self._queries.sla(request.model, since(position), ctx.tenant)

    async def GetModelSla(self, request: sla_pb2.GetModelSlaRequest, context: Call) -> sla_pb2.ModelSla:
        return await self._queries.sla(request.model, request.read, tenant())

    async def ListModelSlas(
        self, request: sla_pb2.ListModelSlasRequest, context: Call
    ) -> sla_pb2.ListModelSlasResponse:
        found = await self._queries.slas(request.model, request.page, request.read, tenant())
        return sla_pb2.ListModelSlasResponse(slas=found.items, next_page_token=found.next_page_token)
