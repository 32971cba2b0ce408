"""Webhooks as they can be looked up: the address stays sealed in the table, the secret is not in it."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.events.store import StoredEvent
from modelog_common.privacy.messages import open_fields, sealed_text
from modelog_common.privacy.subjects import Subjects
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_common.read.tables import Change, Put, Remove, temporal_table
from modelog_proto.registry.v1 import webhook_pb2 as pb
from sqlalchemy import BigInteger, Column

from modelog_registry.read.columns import microseconds
from modelog_registry.read.messages import timestamp
from modelog_registry.read.queries import TableQueries, existing
from modelog_registry.read.tables import TABLES
from modelog_registry.webhook.events import WebhookCreated
from modelog_registry.webhook.state import Webhook

URL = "registry.webhook.url"
WEBHOOKS = temporal_table(
    TABLES,
    "webhooks",
    key=["webhook_id"],
    columns=[Column("created_us", BigInteger, nullable=False)],
    orders=[["created_us"]],
)


def webhook_rows(webhook: Webhook, stored: StoredEvent) -> Sequence[Change]:
    created = webhook.created
    if created is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the webhook was created")
    key = {"webhook_id": created.webhook_id}
    if webhook.deleted_at is not None:
        return [Remove(WEBHOOKS, key)]
    body = webhook_message(webhook, created, stored.position).SerializeToString()
    return [Put(WEBHOOKS, key, body, {"created_us": microseconds(created.at)})]


def webhook_message(webhook: Webhook, created: WebhookCreated, position: int) -> pb.Webhook:
    """With the address as it was sealed."""
    return pb.Webhook(
        id=created.webhook_id,
        name=webhook.name,
        description=webhook.description,
        url=sealed_text(None if webhook.target is None else webhook.target.url),
        events=webhook.kinds,
        active=webhook.active,
        model=webhook.model,
        has_secret=webhook.secret is not None,
        author=created.by,
        created_at=timestamp(created.at),
        updated_at=timestamp(webhook.updated_at or created.at),
        position=position,
    )


class WebhookQueries(TableQueries):
    """Queries over the read tables."""

    def __init__(self, queries: Queries, subjects: Subjects) -> None:
        super().__init__(queries)
        self._subjects = subjects

    async def webhook(self, webhook_id: str, read: ReadOptions, tenant: str) -> pb.Webhook:
        """One webhook; raises NotFound."""
        row = await self._queries.one(WEBHOOKS, pb.Webhook, read, tenant, webhook_id=webhook_id)
        found = existing(row, f"there is no webhook {webhook_id!r}", read)
        await open_fields(self._subjects, [found], {"url": URL})
        return found

    async def webhooks(self, page: Page, read: ReadOptions, tenant: str) -> Found[pb.Webhook]:
        """Newest first."""
        newest = [WEBHOOKS.table.c.created_us.desc()]
        found = await self._queries.page(WEBHOOKS, pb.Webhook, read, tenant, page, order_by=newest)
        await open_fields(self._subjects, found.items, {"url": URL})
        return found
