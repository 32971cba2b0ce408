"""A webhook as its events left it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from modelog_common.domain.errors import NotFound
from modelog_common.domain.sealed import Sealed

from modelog_registry.webhook.events import (
    Target,
    WebhookCreated,
    WebhookDeleted,
    WebhookEvent,
    WebhookReplayed,
    WebhookSecretSet,
    WebhookSwitched,
    WebhookUpdated,
)


@dataclass(frozen=True)
class Webhook:
    """A webhook; before its first event it has no id."""

    created: WebhookCreated | None = None
    name: str = ""
    description: str = ""
    target: Target | None = None
    kinds: tuple[str, ...] = ()
    secret: Sealed | None = None
    active: bool = False
    model: str = ""
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    def existing(self, webhook_id: str, tenant: str) -> WebhookCreated:
        """How it began; raises NotFound, also for another tenant's and for one that was deleted."""
        if self.created is None or self.created.tenant != tenant or self.deleted_at is not None:
            raise NotFound(f"there is no webhook {webhook_id!r}")
        return self.created

    def wants(self, kind: str) -> bool:
        """Whether it is told of this now, of some model at least."""
        return self.active and self.deleted_at is None and kind in self.kinds

    def wants_of(self, kind: str, model: str) -> bool:
        """Whether it is told of this now; what belongs to no model has an empty name."""
        return self.wants(kind) and self.model in ("", model)


def evolve(webhook: Webhook, event: WebhookEvent) -> Webhook:
    """Fold one event."""
    match event:
        case WebhookCreated():
            return Webhook(
                event,
                event.name,
                event.description,
                event.target,
                event.kinds,
                event.secret,
                event.active,
                event.model,
                event.at,
            )
        case WebhookUpdated():
            return replace(
                webhook,
                name=event.name,
                description=event.description,
                target=event.target,
                kinds=event.kinds,
                model=event.model,
                updated_at=event.at,
            )
        case WebhookSecretSet():
            return replace(webhook, secret=event.secret, updated_at=event.at)
        case WebhookSwitched():
            return replace(webhook, active=event.active, updated_at=event.at)
        case WebhookReplayed():
            return webhook
        case WebhookDeleted():
            return replace(webhook, active=False, deleted_at=event.at, updated_at=event.at)
        case _:
            assert_never(event)
