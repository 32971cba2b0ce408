"""modelog.serving.v1.Trials."""

from __future__ import annotations

from typing import Any

from modelog_common.rpc.call import current_call
from modelog_proto.serving.v1 import trial_pb2 as pb
from modelog_proto.serving.v1.trial_pb2_grpc import TrialsServicer as Contract

from modelog_serving.trying.asked import TrialsAsked

FULL_NAME = "modelog.serving.v1.Trials"


class TrialsServicer(Contract):
    """Trials of versions."""

    def __init__(self, asked: TrialsAsked) -> None:
        self._asked = asked

    async def GetTrial(self, request: pb.GetTrialRequest, context: Any) -> pb.VersionTrial:
        return await self._asked.of(request.model, request.version, request.read, current_call().identity.tenant)
