"""Follows the log and writes down what webhooks are to be told: each event once, however often the process dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from modelog_common.bus.leases import LeaseLost
from modelog_common.domain.clock import Clock, milliseconds
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.events.store import EventStore, StoredEvent

from modelog_registry.events import EVENTS
from modelog_registry.model.commands import ModelCommand
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import ModelEvent, VersionPromoted
from modelog_registry.model.state import Model
from modelog_registry.react.happenings import POSSIBLE, Happening, of_model, of_retirement, of_run
from modelog_registry.react.ledger import Delivery, Ledger
from modelog_registry.react.wire import body_of
from modelog_registry.run.commands import RunCommand
from modelog_registry.run.decide import RUN
from modelog_registry.run.events import RunEnded, RunEvent
from modelog_registry.run.state import Run
from modelog_registry.webhook.decide import WEBHOOK
from modelog_registry.webhook.events import WebhookDeleted, WebhookEvent, WebhookReplayed
from modelog_registry.webhook.state import Webhook

TOLD = (MODEL.category, RUN.category)
BATCH = 500
WAIT_S = 30.0
# After events that nobody wants to be told of, those of so long are looked at together.
REST_S = 0.1


@dataclass
class Batch:
    """What came of events that are written down together."""

    made: list[Delivery] = field(default_factory=list)
    again: list[Delivery] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    events: int = 0
    of_webhooks: int = 0

    @property
    def matters(self) -> bool:
        """Whether there may be something to send because of it."""
        return bool(self.made or self.again or self.of_webhooks)


class Follower:
    """Run `follow` by one process at a time; `ring` is called when there may be something to send."""

    def __init__(
        self,
        store: EventStore,
        models: Entities[Model, ModelCommand, ModelEvent],
        runs: Entities[Run, RunCommand, RunEvent],
        ledger: Ledger,
        clock: Clock,
        ring: Callable[[], None],
    ) -> None:
        self._store, self._models, self._runs, self._ledger, self._clock = store, models, runs, ledger, clock
        self._ring = ring
        self._begin = 0
        self._webhooks: dict[str, Webhook] = {}

    async def start(self) -> None:
        """Where the log ends before anybody is answered: one that was never followed is told of from here on."""
        self._begin = await self._store.head()

    async def follow(self) -> None:
        """Until cancelled. Raises Unavailable when the log or the ledger is away; then it begins anew."""
        position = await self._ledger.position(self._store.history, self._begin)
        self._webhooks = {}
        async for stored in self._store.read_all(categories=[WEBHOOK.category], until=position):
            self._fold(stored)
        while True:
            head = await self._store.head()
            if head <= position:
                await self._store.wait_beyond(position, WAIT_S)
            elif await self._to(head, position):
                position = head
                self._ring()
            else:
                position = head
                await asyncio.sleep(REST_S)

    async def _to(self, head: int, position: int) -> bool:
        """Write down what comes of the events; returns whether there may be something to send."""
        batch, matters = Batch(), False
        categories = [WEBHOOK.category, *TOLD]
        async for stored in self._store.read_all(after=position, categories=categories, until=head):
            await self._take(stored, batch)
            if batch.events >= BATCH:
                await self._write(position, stored.position, batch)
                matters = matters or batch.matters
                position, batch = stored.position, Batch()
        await self._write(position, head, batch)
        return matters or batch.matters

    async def _write(self, start: int, end: int, batch: Batch) -> None:
        if start == end:
            return
        now_ms = milliseconds(self._clock.now())
        history = self._store.history
        if not await self._ledger.follow(history, start, end, batch.made, batch.again, batch.ended, now_ms):
            raise LeaseLost(f"the log was followed beyond {start} by another process")

    async def _take(self, stored: StoredEvent, batch: Batch) -> None:
        batch.events += 1
        if stored.category != WEBHOOK.category:
            wanting = [(i, w) for i, w in self._webhooks.items() if _of(w, stored.tenant)]
            batch.made += await self._deliveries(stored, wanting)
            return
        batch.of_webhooks += 1
        match self._fold(stored):
            case WebhookDeleted(webhook_id=webhook_id):
                batch.ended.append(webhook_id)
            case WebhookReplayed(webhook_id=webhook_id, first=first, last=last):
                async for deliveries in self._replayed(webhook_id, first, min(last, stored.position)):
                    batch.again += deliveries

    async def _replayed(self, webhook_id: str, first: int, last: int) -> AsyncIterator[list[Delivery]]:
        webhook = self._webhooks[webhook_id]
        async for old in self._store.read_all(after=first - 1, categories=TOLD, until=last):
            if _of(webhook, old.tenant):
                yield await self._deliveries(old, [(webhook_id, webhook)])

    async def _deliveries(self, stored: StoredEvent, webhooks: list[tuple[str, Webhook]]) -> list[Delivery]:
        possible = POSSIBLE.get(stored.type, ())
        if not any(webhook.wants(kind) for _, webhook in webhooks for kind in possible):
            return []
        happenings = await self._happenings(stored)
        return list(self._told(stored, happenings, webhooks))

    async def _happenings(self, stored: StoredEvent) -> list[Happening]:
        event = EVENTS.decode(stored.type, stored.schema, stored.payload)
        entity_id = stored.stream.partition("-")[2]
        if isinstance(event, RunEnded):
            return list(of_run((await self._runs.current(entity_id)).state, event))
        found = list(of_model((await self._models.current(entity_id)).state, event))
        if isinstance(event, VersionPromoted):
            before = await self._models.load(entity_id, until=stored.position - 1)
            found += of_retirement(before.state, event)
        return found

    def _told(
        self, stored: StoredEvent, happenings: list[Happening], webhooks: list[tuple[str, Webhook]]
    ) -> Iterator[Delivery]:
        now_ms = milliseconds(self._clock.now())
        for n, happening in enumerate(happenings):
            body = body_of(happening.kind, stored.recorded_at, happening.data)
            for webhook_id, webhook in webhooks:
                if webhook.wants_of(happening.kind, happening.model):
                    yield Delivery(
                        id=derived_id("webhook delivery", webhook_id, stored.id, str(n)),
                        tenant=stored.tenant,
                        webhook_id=webhook_id,
                        kind=happening.kind,
                        position=stored.position,
                        body=body,
                        due_ms=now_ms,
                        created_ms=now_ms,
                        changed_ms=now_ms,
                    )

    def _fold(self, stored: StoredEvent) -> WebhookEvent:
        event: WebhookEvent = EVENTS.decode(stored.type, stored.schema, stored.payload)
        known = self._webhooks.get(event.webhook_id, Webhook())
        self._webhooks[event.webhook_id] = WEBHOOK.evolve(known, event)
        return event


def _of(webhook: Webhook, tenant: str) -> bool:
    return webhook.created is not None and webhook.created.tenant == tenant
