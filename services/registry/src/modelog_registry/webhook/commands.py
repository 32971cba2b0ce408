"""What may be asked of a webhook."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_common.domain.sealed import Sealed

from modelog_registry.webhook.events import Target


@dataclass(frozen=True)
class CreateWebhook:
    """Tell an address from now on."""

    webhook_id: str
    name: str
    description: str
    target: Target
    kinds: tuple[str, ...]
    secret: Sealed | None = None
    active: bool = True
    model: str = ""


@dataclass(frozen=True)
class UpdateWebhook:
    """What is None stays; so does the secret, unless `new_secret`: None then signs nothing.

    An empty `model` means any.
    """

    webhook_id: str
    name: str | None = None
    description: str | None = None
    target: Target | None = None
    kinds: tuple[str, ...] | None = None
    active: bool | None = None
    secret: Sealed | None = None
    new_secret: bool = False
    model: str | None = None


@dataclass(frozen=True)
class ReplayEvents:
    """Deliver what happened in these positions again."""

    webhook_id: str
    first: int
    last: int


@dataclass(frozen=True)
class DeleteWebhook:
    """Send nothing any more."""

    webhook_id: str


WebhookCommand = CreateWebhook | UpdateWebhook | ReplayEvents | DeleteWebhook
