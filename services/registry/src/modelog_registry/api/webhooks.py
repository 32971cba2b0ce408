"""modelog.registry.v1.Webhooks over gRPC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.domain.clock import Clock
from modelog_common.outbound.post import Posted
from modelog_common.read.queries import DEFAULT_PAGE, page_token, place_of
from modelog_proto.registry.v1 import webhook_pb2 as pb
from modelog_proto.registry.v1.webhook_pb2_grpc import WebhooksServicer

from modelog_registry.api.calls import command_call, since, tenant
from modelog_registry.handle.webhooks import Wanted, Webhooks
from modelog_registry.react.ledger import Attempt, Delivery, Ledger, State
from modelog_registry.read.messages import timestamp
from modelog_registry.read.webhooks import WebhookQueries
from modelog_registry.webhook.commands import DeleteWebhook, ReplayEvents

Call = grpc.aio.ServicerContext[Any, Any]
STATES = {
    State.WAITING: pb.DELIVERY_STATE_WAITING,
    State.DELIVERED: pb.DELIVERY_STATE_DELIVERED,
    State.DEAD: pb.DELIVERY_STATE_DEAD,
}
STATE_OF = {number: state for state, number in STATES.items()}


class WebhookServicer(WebhooksServicer):
    """Webhooks and their deliveries."""

    def __init__(self, webhooks: Webhooks, queries: WebhookQueries, ledger: Ledger, clock: Clock) -> None:
        self._webhooks, self._queries, self._ledger, self._clock = webhooks, queries, ledger, clock

    async def CreateWebhook(self, request: pb.CreateWebhookRequest, context: Call) -> pb.Webhook:
        ctx = command_call(self._clock, request.request_id, "CreateWebhook")
        events = tuple(request.events)
        wanted = Wanted(
            request.name,
            request.description,
            request.url,
            events,
            request.secret,
            active=not request.disabled,
            model=request.model,
        )
        webhook_id, position = await self._webhooks.create(wanted, ctx)
        return await self._queries.webhook(webhook_id, since(position), ctx.tenant)

    async def UpdateWebhook(self, request: pb.UpdateWebhookRequest, context: Call) -> pb.Webhook:
        ctx = command_call(self._clock, request.request_id, "UpdateWebhook")
        position = await self._webhooks.update(request.webhook_id, wanted_of(request), ctx)
        return await self._queries.webhook(request.webhook_id, since(position), ctx.tenant)

    async def DeleteWebhook(self, request: pb.DeleteWebhookRequest, context: Call) -> pb.DeleteWebhookResponse:
        ctx = command_call(self._clock, request.request_id, "DeleteWebhook")
        position = await self._webhooks.handle(DeleteWebhook(request.webhook_id), ctx)
        await self._queries.cover(position)
        return pb.DeleteWebhookResponse(position=position)

    async def GetWebhook(self, request: pb.GetWebhookRequest, context: Call) -> pb.Webhook:
        return await self._queries.webhook(request.webhook_id, request.read, tenant())

    async def ListWebhooks(self, request: pb.ListWebhooksRequest, context: Call) -> pb.ListWebhooksResponse:
        found = await self._queries.webhooks(request.page, request.read, tenant())
        return pb.ListWebhooksResponse(webhooks=found.items, next_page_token=found.next_page_token)

    async def TestWebhook(self, request: pb.TestWebhookRequest, context: Call) -> pb.Attempt:
        posted = await self._webhooks.test(request.webhook_id, request.event, tenant())
        return attempt_message(1, timestamp(self._clock.now()), posted)

    async def ReplayEvents(self, request: pb.ReplayEventsRequest, context: Call) -> pb.ReplayEventsResponse:
        ctx = command_call(self._clock, request.request_id, "ReplayEvents")
        command = ReplayEvents(request.webhook_id, request.first, request.last)
        return pb.ReplayEventsResponse(position=await self._webhooks.handle(command, ctx))

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Call) -> pb.ListDeliveriesResponse:
        (offset, until), size = place_of(request.page.token), request.page.size or DEFAULT_PAGE
        state = STATE_OF.get(request.state)
        found = await self._ledger.list(tenant(), request.webhook_id, state, offset, size + 1, until)
        newest = until or max((delivery.position for delivery in found), default=0)
        token = page_token(offset + size, newest) if len(found) > size else ""
        deliveries = [delivery_message(delivery) for delivery in found[:size]]
        return pb.ListDeliveriesResponse(deliveries=deliveries, next_page_token=token)

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Call) -> pb.Delivery:
        delivery, tried = await self._ledger.get(request.delivery_id, tenant())
        answer = delivery_message(delivery)
        answer.body = delivery.body.decode()
        answer.tried.extend(_tried(attempt) for attempt in tried)
        return answer

    async def ReplayDelivery(self, request: pb.ReplayDeliveryRequest, context: Call) -> pb.Delivery:
        ctx = command_call(self._clock, "", "ReplayDelivery")
        return delivery_message(await self._webhooks.replay(request.delivery_id, ctx))


def wanted_of(request: pb.UpdateWebhookRequest) -> Wanted:
    """What is not given stays."""
    return Wanted(
        request.name if request.HasField("name") else None,
        request.description if request.HasField("description") else None,
        request.url if request.HasField("url") else None,
        tuple(request.events) or None,
        request.secret if request.HasField("secret") else None,
        request.active if request.HasField("active") else None,
        request.model if request.HasField("model") else None,
    )


def delivery_message(delivery: Delivery) -> pb.Delivery:
    """Without its body and attempts."""
    return pb.Delivery(
        id=delivery.id,
        webhook_id=delivery.webhook_id,
        event=delivery.kind,
        position=delivery.position,
        state=STATES[delivery.state],
        attempts=delivery.attempts,
        due_at=_at(delivery.due_ms) if delivery.state is State.WAITING else None,
        created_at=_at(delivery.created_ms),
        changed_at=_at(delivery.changed_ms),
        outcome=delivery.outcome,
    )


def attempt_message(number: int, at: Timestamp, posted: Posted) -> pb.Attempt:
    return pb.Attempt(
        number=number,
        at=at,
        status=posted.status,
        latency_ms=posted.latency_ms,
        answer=posted.answer,
        error=posted.error,
    )


def _tried(attempt: Attempt) -> pb.Attempt:
    return attempt_message(attempt.number, _at(attempt.at_ms), attempt.posted)


def _at(ms: int) -> Timestamp:
    return timestamp(datetime.fromtimestamp(ms / 1000, UTC))
