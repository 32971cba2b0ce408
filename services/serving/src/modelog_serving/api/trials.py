"""modelog.serving.v1.Trials."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelog_common.domain.clock import Clock
from modelog_common.domain.ids import derived_id
from modelog_common.rpc.call import command_context, current_call
from modelog_proto.serving.v1 import trial_pb2 as pb
from modelog_proto.serving.v1.trial_pb2_grpc import TrialsServicer as Contract

from modelog_serving.trying.asked import TrialsAsked

FULL_NAME = "modelog.serving.v1.Trials"


class TrialsServicer(Contract):
    """Trials of versions."""

    def __init__(self, asked: TrialsAsked, clock: Clock) -> None:
        self._asked, self._clock = asked, clock

    async def GetTrial(self, request: pb.GetTrialRequest, context: Any) -> pb.VersionTrial:
        return await self._asked.of(request.model, request.version, request.read, current_call().identity.tenant)

    async def TryAgain(self, request: pb.TryAgainRequest, context: Any) -> pb.VersionTrial:
        ctx = command_context(self._clock, request.request_id)
        ctx = replace(ctx, request_id=derived_id(ctx.actor, "TryAgain", ctx.request_id))
        return await self._asked.again(request.model, request.version, request.reason, ctx)
