"""modelog.registry.v1.ChangeRequests over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import change_pb2 as pb
from modelog_proto.registry.v1.change_pb2_grpc import ChangeRequestsServicer

from modelog_registry.api import parse_changes as parse
from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.changes import Changes
from modelog_registry.read.models.change_queries import ChangeQueries

Call = grpc.aio.ServicerContext[Any, Any]


class ChangeServicer(ChangeRequestsServicer):
    """Requests to promote versions, and what people say about them."""

    def __init__(self, changes: Changes, queries: ChangeQueries, clock: Clock) -> None:
        self._changes, self._queries, self._clock = changes, queries, clock

    async def OpenChangeRequest(self, request: pb.OpenChangeRequestRequest, context: Call) -> pb.ChangeRequest:
        ctx = command_call(self._clock, request.request_id, "OpenChangeRequest")
        number, position = await self._changes.open(parse.request_change(request), ctx)
        return await self._queries.change(request.model, number, since(position), ctx.tenant)

    async def GetChangeRequest(self, request: pb.GetChangeRequestRequest, context: Call) -> pb.ChangeRequest:
        return await self._queries.change(request.model, request.number, request.read, tenant())

    async def GetChangeOutlook(self, request: pb.GetChangeOutlookRequest, context: Call) -> pb.ChangeOutlook:
        refusal = await self._changes.refusal(request.model, request.number, request.read, tenant())
        return pb.ChangeOutlook(can_be_applied=not refusal, because=refusal)

    async def ListChangeRequests(
        self, request: pb.ListChangeRequestsRequest, context: Call
    ) -> pb.ListChangeRequestsResponse:
        found = await self._queries.changes(
            request.model, request.version, parse.state_wanted(request), request.page, request.read, tenant()
        )
        return pb.ListChangeRequestsResponse(changes=found.items, next_page_token=found.next_page_token)

    async def AttachEvidence(self, request: pb.AttachEvidenceRequest, context: Call) -> pb.ChangeRequest:
        ctx = command_call(self._clock, request.request_id, "AttachEvidence")
        position = await self._changes.attach(parse.attach_evidence(request), ctx)
        return await self._queries.change(request.model, request.number, since(position), ctx.tenant)

    async def AskReviewers(self, request: pb.AskReviewersRequest, context: Call) -> pb.ChangeRequest:
        ctx = command_call(self._clock, request.request_id, "AskReviewers")
        position = await self._changes.change(parse.ask_reviewers(request), ctx)
        return await self._queries.change(request.model, request.number, since(position), ctx.tenant)

    async def CommentOnChangeRequest(
        self, request: pb.CommentOnChangeRequestRequest, context: Call
    ) -> pb.ChangeRequest:
        ctx = command_call(self._clock, request.request_id, "CommentOnChangeRequest")
        position = await self._changes.change(parse.comment_change(request), ctx)
        return await self._queries.change(request.model, request.number, since(position), ctx.tenant)

    async def ReviewChangeRequest(self, request: pb.ReviewChangeRequestRequest, context: Call) -> pb.ChangeRequest:
        ctx = command_call(self._clock, request.request_id, "ReviewChangeRequest")
        position = await self._changes.change(parse.review_change(request), ctx)
        return await self._queries.change(request.model, request.number, since(position), ctx.tenant)

    async def WithdrawChangeRequest(self, request: pb.WithdrawChangeRequestRequest, context: Call) -> pb.ChangeRequest:
        ctx = command_call(self._clock, request.request_id, "WithdrawChangeRequest")
        position = await self._changes.change(parse.withdraw_change(request), ctx)
        return await self._queries.change(request.model, request.number, since(position), ctx.tenant)

    async def ApplyChangeRequest(self, request: pb.ApplyChangeRequestRequest, context: Call) -> pb.ChangeRequest:
        ctx = command_call(self._clock, request.request_id, "ApplyChangeRequest")
        position = await self._changes.apply(parse.apply_change(request), ctx)
        return await self._queries.change(request.model, request.number, since(position), ctx.tenant)
