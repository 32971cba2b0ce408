"""modelog.registry.v1.ModelSignatures over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_common.domain.semver import SemanticVersion
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import sign_pb2 as pb
from modelog_proto.registry.v1.sign_pb2_grpc import ModelSignaturesServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.api.values import artifact_of
from modelog_registry.handle.models import Models
from modelog_registry.model.signed import SignVersion
from modelog_registry.read.models.signatures import SignatureQueries

Call = grpc.aio.ServicerContext[Any, Any]


class SignatureServicer(ModelSignaturesServicer):
    """The signatures of model versions."""

    def __init__(self, models: Models, queries: SignatureQueries, clock: Clock) -> None:
        self._models, self._queries, self._clock = models, queries, clock

    async def AddModelSignature(self, request: pb.AddModelSignatureRequest, context: Call) -> pb.ModelSignature:
        ctx = command_call(self._clock, request.request_id, "AddModelSignature")
        command = SignVersion(
            request.model,
            SemanticVersion.parse(request.version),
            request.key,
            artifact_of(request.signature),
            tuple(artifact_of(file) for file in request.files),
        )
        position = await self._models.sign(command, ctx)
        page = common.Page(size=1)
        found = await self._queries.signatures(request.model, request.version, page, since(position), ctx.tenant)
        return found.items[0]

    async def ListModelSignatures(
        self, request: pb.ListModelSignaturesRequest, context: Call
    ) -> pb.ListModelSignaturesResponse:
        found = await self._queries.signatures(request.model, request.version, request.page, request.read, tenant())
        return pb.ListModelSignaturesResponse(signatures=found.items, next_page_token=found.next_page_token)
