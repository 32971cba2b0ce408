"""MLflow's methods about webhooks. It sees those that are told of MLflow's events, and of each only these events."""

from __future__ import annotations

from typing import Any

import msgspec
from modelog_common.domain.errors import Invalid
from modelog_proto.common.v1.common_pb2 import Page
from modelog_proto.registry.v1 import webhook_pb2 as pb

from modelog_gateway.mlflow.endpoints import Answer, Endpoint, Registry
from modelog_gateway.mlflow.values import milliseconds

# The enumerations of mlflow/protos/webhooks.proto, whose numbers begin with 0 and 1.
ENTITIES = (
    "ENTITY_UNSPECIFIED",
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
)
ACTIONS = ("ACTION_UNSPECIFIED", "CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED")
STATUSES = ("", "ACTIVE", "DISABLED")
USUAL, MOST = 100, 1000


class Event(msgspec.Struct):
    entity: str | int
    action: str | int


class Create(msgspec.Struct):
    name: str
    url: str
    events: list[Event]
    description: str = ""
    secret: str = ""
    status: str | int = "ACTIVE"


class Listing(msgspec.Struct):
    max_results: int = 0
    page_token: str = ""


class OfWebhook(msgspec.Struct):
    webhook_id: str


class Update(msgspec.Struct):
    webhook_id: str
    name: str = ""
    description: str | None = None
    url: str = ""
    events: list[Event] = []
    secret: str | None = None
    status: str | int = ""


class Try(msgspec.Struct):
    webhook_id: str
    event: Event | None = None


async def create(registry: Registry, asked: Create) -> Answer:
    request = pb.CreateWebhookRequest(
        name=asked.name,
        description=asked.description,
        url=asked.url,
        events=[event_in(event) for event in asked.events],
        secret=asked.secret,
        disabled=_word(STATUSES, asked.status, "status") == "DISABLED",
    )
    return {"webhook": webhook_json(await registry.webhooks.CreateWebhook(request))}


async def listing(registry: Registry, asked: Listing) -> Answer:
    size = asked.max_results or USUAL
    if not 0 < size <= MOST:
        raise Invalid.field("max_results", f"is {size}; max_results must be between 1 and {MOST}.")
    request = pb.ListWebhooksRequest(page=Page(size=size, token=asked.page_token))
    found = await registry.webhooks.ListWebhooks(request)
    shown = [webhook_json(webhook) for webhook in found.webhooks if _known(webhook)]
    return {"webhooks": shown, "next_page_token": found.next_page_token}


async def get(registry: Registry, asked: OfWebhook) -> Answer:
    webhook = await registry.webhooks.GetWebhook(pb.GetWebhookRequest(webhook_id=asked.webhook_id))
    return {"webhook": webhook_json(webhook)}


async def update(registry: Registry, asked: Update) -> Answer:
    """Events that MLflow has no words for stay as they are."""
    request = pb.UpdateWebhookRequest(webhook_id=asked.webhook_id, description=asked.description, secret=asked.secret)
    if asked.name:
        request.name = asked.name
    if asked.url:
        request.url = asked.url
    if asked.status:
        request.active = _word(STATUSES, asked.status, "status") == "ACTIVE"
    if asked.events:
        before = await registry.webhooks.GetWebhook(pb.GetWebhookRequest(webhook_id=asked.webhook_id))
        kept = [name for name in before.events if event_json(name) is None]
        request.events.extend([*(event_in(event) for event in asked.events), *kept])
    return {"webhook": webhook_json(await registry.webhooks.UpdateWebhook(request))}


async def delete(registry: Registry, asked: OfWebhook) -> Answer:
    await registry.webhooks.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=asked.webhook_id))
    return {}


async def test(registry: Registry, asked: Try) -> Answer:
    event = "" if asked.event is None else event_in(asked.event)
    tried = await registry.webhooks.TestWebhook(pb.TestWebhookRequest(webhook_id=asked.webhook_id, event=event))
    result: dict[str, Any] = {"success": 200 <= tried.status < 300}
    if tried.status:
        result |= {"response_status": tried.status, "response_body": tried.answer}
    if tried.error:
        result["error_message"] = f"Failed to test webhook: {tried.error}"
    return {"result": result}


def webhook_json(webhook: pb.Webhook) -> dict[str, Any]:
    shown = {
        "webhook_id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": _known(webhook),
        "status": "ACTIVE" if webhook.active else "DISABLED",
        "creation_timestamp": milliseconds(webhook.created_at),
        "last_updated_timestamp": milliseconds(webhook.updated_at),
    }
    return shown | ({"description": webhook.description} if webhook.description else {})


def event_in(event: Event) -> str:
    """Our name of an event by MLflow's words or their numbers; raises Invalid for what is none of them."""
    entity, action = _word(ENTITIES, event.entity, "events.entity"), _word(ACTIONS, event.action, "events.action")
    return f"{entity.lower()}.{action.lower()}"


def event_json(name: str) -> dict[str, str] | None:
    """MLflow's words for an event; None for one that it does not know."""
    entity, _, action = name.upper().partition(".")
    return {"entity": entity, "action": action} if entity in ENTITIES and action in ACTIONS else None


def _known(webhook: pb.Webhook) -> list[dict[str, str]]:
    return [event for event in map(event_json, webhook.events) if event is not None]


def _word(words: tuple[str, ...], given: str | int, field: str) -> str:
    if isinstance(given, int) or given.isdecimal():
        number = int(given)
        if 0 < number < len(words):
            return words[number]
    elif given in words[1:]:
        return given
    raise Invalid.field(field, f"is {given!r}; allowed: {', '.join(words[1:])}")


ENDPOINTS = (
    Endpoint("POST", "/webhooks", Create, create),
    Endpoint("GET", "/webhooks", Listing, listing),
    Endpoint("GET", "/webhooks/{webhook_id}", OfWebhook, get),
    Endpoint("PATCH", "/webhooks/{webhook_id}", Update, update),
    Endpoint("DELETE", "/webhooks/{webhook_id}", OfWebhook, delete),
    Endpoint("POST", "/webhooks/{webhook_id}/test", Try, test),
)
