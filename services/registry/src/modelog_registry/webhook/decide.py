"""The rules of webhooks: they have a name, something to tell of, and a range that they can be told again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Invalid, NotAllowed

from modelog_registry.webhook.commands import (
    CreateWebhook,
    DeleteWebhook,
    ReplayEvents,
    UpdateWebhook,
    WebhookCommand,
)
from modelog_registry.webhook.events import (
    WebhookCreated,
    WebhookDeleted,
    WebhookEvent,
    WebhookReplayed,
    WebhookSecretSet,
    WebhookSwitched,
    WebhookUpdated,
)
from modelog_registry.webhook.kinds import KINDS, OF_RUNS
from modelog_registry.webhook.state import Webhook, evolve

# MLflow's rule.
NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", re.IGNORECASE)
LONGEST_REPLAY = 100_000


def decide(webhook: Webhook, command: WebhookCommand, ctx: Context) -> Sequence[WebhookEvent]:
    """What asks for nothing new makes no event."""
    if isinstance(command, CreateWebhook):
        return create(webhook, command, ctx)
    webhook.existing(command.webhook_id, ctx.tenant)
    match command:
        case UpdateWebhook():
            return update(webhook, command, ctx)
        case ReplayEvents():
            return replay(webhook, command, ctx)
        case DeleteWebhook(webhook_id):
            return [WebhookDeleted(webhook_id, ctx.actor, ctx.now)]
        case _:
            assert_never(command)


def create(webhook: Webhook, command: CreateWebhook, ctx: Context) -> Sequence[WebhookEvent]:
    if webhook.created is not None:
        return ()
    check_name(command.name)
    kinds = checked_kinds(command.kinds, command.model)
    return [
        WebhookCreated(
            command.webhook_id,
            ctx.tenant,
            command.name,
            command.description,
            command.target,
            kinds,
            command.secret,
            command.active,
            ctx.actor,
            ctx.now,
            command.model,
        )
    ]


def update(webhook: Webhook, command: UpdateWebhook, ctx: Context) -> Sequence[WebhookEvent]:
    target = command.target or webhook.target
    if target is None:
        raise ValueError(f"the webhook {command.webhook_id} has no address")
    name = webhook.name if command.name is None else command.name
    description = webhook.description if command.description is None else command.description
    model = webhook.model if command.model is None else command.model
    kinds = checked_kinds(webhook.kinds if command.kinds is None else command.kinds, model)
    check_name(name)
    before = (webhook.name, webhook.description, webhook.target, webhook.kinds, webhook.model)
    events: list[WebhookEvent] = []
    if (name, description, target, kinds, model) != before:
        by = (ctx.actor, ctx.now)
        events.append(WebhookUpdated(command.webhook_id, name, description, target, kinds, *by, model))
    if command.new_secret and command.secret != webhook.secret:
        events.append(WebhookSecretSet(command.webhook_id, command.secret, ctx.actor, ctx.now))
    if command.active is not None and command.active is not webhook.active:
        events.append(WebhookSwitched(command.webhook_id, command.active, ctx.actor, ctx.now))
    return events


def replay(webhook: Webhook, command: ReplayEvents, ctx: Context) -> Sequence[WebhookEvent]:
    if not webhook.active:
        raise NotAllowed(f"the webhook {webhook.name!r} is disabled; enable it first")
    if command.last < command.first:
        raise Invalid.field("last", f"is {command.last}, before first, {command.first}")
    if command.last - command.first >= LONGEST_REPLAY:
        raise Invalid.field("last", f"is more than {LONGEST_REPLAY:,} positions from first; replay it in parts")
    return [WebhookReplayed(command.webhook_id, command.first, command.last, ctx.actor, ctx.now)]


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid.field(
            "name",
            f"is {name!r}; allowed: 1 to 63 letters, digits, dots, underscores and hyphens, with a letter or digit at "
            "either end",
        )


def checked_kinds(kinds: Sequence[str], model: str) -> tuple[str, ...]:
    """Each once, in the order in which they were given; what a webhook of one model cannot be told of is refused."""
    if not kinds:
        raise Invalid.field("events", f"is empty; allowed: one or more of {', '.join(KINDS)}")
    unknown = next((kind for kind in kinds if kind not in KINDS), None)
    if unknown is not None:
        raise Invalid.field("events", f"has {unknown!r}, which never happens here; allowed: {', '.join(KINDS)}")
    stranger = next((kind for kind in kinds if kind in OF_RUNS), None) if model else None
    if stranger is not None:
        raise Invalid.field("events", f"has {stranger!r}, which belongs to no model; leave it out, or the model")
    return tuple(dict.fromkeys(kinds))


WEBHOOK: Decider[Webhook, WebhookCommand, WebhookEvent] = Decider("registry.webhook", Webhook, decide, evolve)
