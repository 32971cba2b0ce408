"""Commands about webhooks, whose addresses and secrets are sealed before a command is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_common.domain.clock import milliseconds
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_common.domain.ids import derived_id
from modelog_common.domain.sealed import Sealed
from modelog_common.events.entities import Entities
from modelog_common.outbound.post import Posted
from modelog_common.outbound.reach import Reach, shown
from modelog_common.privacy.subjects import Subjects

from modelog_registry.react.ledger import Delivery, Ledger
from modelog_registry.react.send import SECRET, URL, Sender
from modelog_registry.webhook.commands import (
    CreateWebhook,
    DeleteWebhook,
    ReplayEvents,
    UpdateWebhook,
    WebhookCommand,
)
from modelog_registry.webhook.decide import check_name, checked_kinds
from modelog_registry.webhook.events import Target, WebhookEvent
from modelog_registry.webhook.state import Webhook


@dataclass(frozen=True)
class Wanted:
    """What a webhook is to be; None leaves it as it is, and an empty secret takes the secret away."""

    name: str | None = None
    description: str | None = None
    url: str | None = None
    kinds: tuple[str, ...] | None = None
    secret: str | None = None
    active: bool | None = None
    model: str | None = None


class Webhooks:
    """All webhooks of all tenants."""

    def __init__(
        self,
        entities: Entities[Webhook, WebhookCommand, WebhookEvent],
        ledger: Ledger,
        sender: Sender,
        subjects: Subjects,
        reach: Reach,
    ) -> None:
        self._entities, self._ledger, self._sender = entities, ledger, sender
        self._subjects, self._reach = subjects, reach

    async def create(self, wanted: Wanted, ctx: Context) -> tuple[str, int]:
        """Its id, and the position at which it stands."""
        check_name(wanted.name or "")
        checked_kinds(wanted.kinds or (), wanted.model or "")
        webhook_id = derived_id(ctx.tenant, "webhook", ctx.request_id)
        target = await self._target(webhook_id, wanted.url or "", ctx)
        command = CreateWebhook(
            webhook_id,
            wanted.name or "",
            wanted.description or "",
            target,
            wanted.kinds or (),
            await self._sealed(webhook_id, wanted.secret or "", ctx),
            wanted.active is not False,
            wanted.model or "",
        )
        return webhook_id, (await self._entities.handle(webhook_id, command, ctx)).position

    async def update(self, webhook_id: str, wanted: Wanted, ctx: Context) -> int:
        await self._existing(webhook_id, ctx.tenant)
        command = UpdateWebhook(
            webhook_id,
            wanted.name,
            wanted.description,
            None if wanted.url is None else await self._target(webhook_id, wanted.url, ctx),
            wanted.kinds,
            wanted.active,
            await self._sealed(webhook_id, wanted.secret or "", ctx),
            wanted.secret is not None,
            wanted.model,
        )
        return (await self._entities.handle(webhook_id, command, ctx)).position

    async def handle(self, command: DeleteWebhook | ReplayEvents, ctx: Context) -> int:
        return (await self._entities.handle(command.webhook_id, command, ctx)).position

    async def test(self, webhook_id: str, kind: str, tenant: str) -> Posted:
        """Send an example of an event, or of the first that the webhook has."""
        webhook = await self._existing(webhook_id, tenant)
        return await self._sender.test(webhook, checked_kinds((kind or webhook.kinds[0],), "")[0])

    async def replay(self, delivery_id: str, ctx: Context) -> Delivery:
        """Send a delivery again, whatever became of it."""
        delivery, _ = await self._ledger.get(delivery_id, ctx.tenant)
        webhook = (await self._entities.current(delivery.webhook_id)).state
        if not webhook.active:
            gone = webhook.deleted_at is not None
            raise NotAllowed(f"the webhook {webhook.name!r} is {'deleted' if gone else 'disabled; enable it first'}")
        await self._ledger.revive(delivery_id, milliseconds(ctx.now))
        self._sender.ring()
        return (await self._ledger.get(delivery_id, ctx.tenant))[0]

    async def _existing(self, webhook_id: str, tenant: str) -> Webhook:
        webhook = (await self._entities.current(webhook_id)).state
        webhook.existing(webhook_id, tenant)
        return webhook

    async def _target(self, webhook_id: str, url: str, ctx: Context) -> Target:
        if not url:
            raise Invalid.field("url", "is empty; allowed: an https address")
        self._reach.check(url, "url")
        return Target(await self._subjects.seal(ctx.tenant, f"webhook/{webhook_id}", URL, url), shown(url))

    async def _sealed(self, webhook_id: str, secret: str, ctx: Context) -> Sealed | None:
        return await self._subjects.seal(ctx.tenant, f"webhook/{webhook_id}", SECRET, secret) if secret else None
