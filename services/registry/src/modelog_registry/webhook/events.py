"""What happens to a webhook."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.domain.sealed import Sealed
from modelog_common.events.types import event


class Target(msgspec.Struct, frozen=True):
    """Where it sends: whoever knows the address may post there, so it is sealed, and `shown` may be told of it."""

    url: Sealed
    shown: str


@event("registry.WebhookCreated", version=2)
class WebhookCreated:
    """The registry tells an address of what happens; `kinds` are names such as "model_version.created".

    Only of what happens to `model`, if that is not empty.
    """

    webhook_id: str
    tenant: str
    name: str
    description: str
    target: Target
    kinds: tuple[str, ...]
    secret: Sealed | None
    active: bool
    by: str
    at: datetime
    model: str = ""


@event("registry.WebhookUpdated", version=2)
class WebhookUpdated:
    """From now on it is this."""

    webhook_id: str
    name: str
    description: str
    target: Target
    kinds: tuple[str, ...]
    by: str
    at: datetime
    model: str = ""


@event("registry.WebhookSecretSet")
class WebhookSecretSet:
    """What deliveries are signed with from now on; None signs none."""

    webhook_id: str
    secret: Sealed | None
    by: str
    at: datetime


@event("registry.WebhookSwitched")
class WebhookSwitched:
    """It was enabled or disabled; while it is disabled, nothing is kept for it."""

    webhook_id: str
    active: bool
    by: str
    at: datetime


@event("registry.WebhookReplayed")
class WebhookReplayed:
    """Somebody wants what happened in these positions of the log, both included, delivered again."""

    webhook_id: str
    first: int
    last: int
    by: str
    at: datetime


@event("registry.WebhookDeleted")
class WebhookDeleted:
    """Nothing is sent any more."""

    webhook_id: str
    by: str
    at: datetime


WebhookEvent = WebhookCreated | WebhookUpdated | WebhookSecretSet | WebhookSwitched | WebhookReplayed | WebhookDeleted
