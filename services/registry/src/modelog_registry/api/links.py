"""modelog.registry.v1.Links over gRPC."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import grpc
from modelog_common.domain.clock import Clock
from modelog_proto.registry.v1 import link_pb2 as pb
from modelog_proto.registry.v1.link_pb2_grpc import LinksServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.links import Links
from modelog_registry.read.links import LinkQueries

Call = grpc.aio.ServicerContext[Any, Any]


class LinkServicer(LinksServicer):
    """Links that show one thing for a while."""

    def __init__(self, links: Links, queries: LinkQueries, clock: Clock) -> None:
        self._links, self._queries, self._clock = links, queries, clock

    async def CreateLink(self, request: pb.CreateLinkRequest, context: Call) -> pb.CreatedLink:
        ctx = command_call(self._clock, request.request_id, "CreateLink")
        shared = await self._queries.shared_of(request, ctx.tenant)
        link_id, token, position = await self._links.make(shared, request.expires_at.ToDatetime(tzinfo=UTC), ctx)
        return pb.CreatedLink(link=await self._queries.link(link_id, since(position), ctx.tenant), token=token)

    async def ListLinks(self, request: pb.ListLinksRequest, context: Call) -> pb.ListLinksResponse:
        found = await self._queries.links(request, tenant())
        return pb.ListLinksResponse(links=found.items, next_page_token=found.next_page_token)

    async def RevokeLink(self, request: pb.RevokeLinkRequest, context: Call) -> pb.Link:
        ctx = command_call(self._clock, request.request_id, "RevokeLink")
        position = await self._links.revoke(request.link_id, ctx)
        return await self._queries.link(request.link_id, since(position), ctx.tenant)

    async def OpenLink(self, request: pb.OpenLinkRequest, context: Call) -> pb.SharedThing:
        return await self._queries.shown(await self._links.opened(request.token))
