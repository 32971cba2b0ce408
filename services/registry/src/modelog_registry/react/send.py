"""Sends what waits in the ledger: each webhook in a lane of its own, so that a slow one holds up nobody else."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from modelog_common.domain.clock import Clock, milliseconds
from modelog_common.domain.ids import uuid7
from modelog_common.events.entities import Entities
from modelog_common.outbound.pace import Pace
from modelog_common.outbound.post import Posted, Poster
from modelog_common.outbound.reach import Reach
from modelog_common.privacy.subjects import ALTERED, ERASED, LOST, Subjects

from modelog_registry.react.examples import EXAMPLES
from modelog_registry.react.ledger import Delivery, Ledger, State
from modelog_registry.react.wire import body_of, headers_of
from modelog_registry.webhook.commands import WebhookCommand
from modelog_registry.webhook.events import WebhookEvent
from modelog_registry.webhook.state import Webhook

SECRET, URL = "registry.webhook.secret", "registry.webhook.url"
UNREADABLE = (ERASED, LOST, ALTERED)
IN_LANE = 8
# The receiver wants nothing of this any more (standardwebhooks.com).
GONE = 410
KEPT = timedelta(days=30)
LOOK_S = 60.0
CHANCE = random.SystemRandom().random


class Sender:
    """Run `send` by one process at a time, and `ring` when something may be due."""

    def __init__(
        self,
        webhooks: Entities[Webhook, WebhookCommand, WebhookEvent],
        ledger: Ledger,
        subjects: Subjects,
        reach: Reach,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._webhooks, self._ledger, self._subjects, self._reach = webhooks, ledger, subjects, reach
        self._clock, self._pace = clock, pace
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Something may be due."""
        self._rung.set()

    async def send(self) -> None:
        """Until cancelled. Raises Unavailable when the log, the ledger or the store of keys is away."""
        await self._ledger.forget_delivered(self._now_ms() - int(KEPT.total_seconds() * 1000))
        async with Poster(self._reach) as poster, asyncio.TaskGroup() as group:
            lanes: dict[str, asyncio.Task[None]] = {}
            while True:
                self._rung.clear()
                lanes = {webhook_id: task for webhook_id, task in lanes.items() if not task.done()}
                pause_s = LOOK_S
                for webhook_id, due_ms in await self._ledger.waiting():
                    if webhook_id in lanes or not await self._may_send(webhook_id):
                        continue
                    wait_s = (due_ms - self._now_ms()) / 1000
                    if wait_s <= 0:
                        lanes[webhook_id] = group.create_task(self._lane(poster, webhook_id))
                    else:
                        pause_s = min(pause_s, wait_s)
                await self._wait(pause_s)

    async def test(self, webhook: Webhook, kind: str) -> Posted:
        """Send an example once, outside the ledger."""
        async with Poster(self._reach) as poster:
            body = body_of(kind, self._clock.now(), EXAMPLES[kind])
            return await self._post(poster, webhook, str(uuid7()), body)

    async def _wait(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._rung.wait()
        except TimeoutError:
            return

    async def _may_send(self, webhook_id: str) -> bool:
        """A disabled webhook keeps what waits for it; what waits for a deleted one is dead."""
        webhook = (await self._webhooks.current(webhook_id)).state
        if webhook.deleted_at is not None:
            await self._ledger.bury(webhook_id, self._now_ms())
        return webhook.active

    async def _lane(self, poster: Poster, webhook_id: str) -> None:
        """Everything that is due for one webhook, some at a time."""
        while await self._may_send(webhook_id):
            due = await self._ledger.due(webhook_id, self._now_ms(), IN_LANE)
            if not due:
                break
            async with asyncio.TaskGroup() as group:
                for delivery in due:
                    group.create_task(self._attempt(poster, webhook_id, delivery))
        self.ring()

    async def _attempt(self, poster: Poster, webhook_id: str, delivery: Delivery) -> None:
        webhook = (await self._webhooks.current(webhook_id)).state
        posted = await self._post(poster, webhook, delivery.id, delivery.body)
        now_ms, failures = self._now_ms(), delivery.failures + 1
        state, due_ms = State.DELIVERED, now_ms
        if not posted.taken:
            over = failures >= self._pace.attempts or posted.status == GONE
            state = State.DEAD if over else State.WAITING
            due_ms = now_ms + int(self._pace.pause_s(failures, CHANCE, posted.retry_after_s) * 1000)
        await self._ledger.tried(delivery, posted, state, due_ms, now_ms)

    async def _post(self, poster: Poster, webhook: Webhook, delivery_id: str, body: bytes) -> Posted:
        if webhook.target is None:
            return Posted(0, "", 0.0, "the webhook has no address")
        url = await self._subjects.open(URL, webhook.target.url)
        secret = await self._subjects.open(SECRET, webhook.secret) if webhook.secret is not None else ""
        closed = next((text for text in (url, secret) if text in UNREADABLE), "")
        if closed:
            return Posted(0, "", 0.0, f"its address or secret cannot be opened: {closed}")
        return await poster.post(url, body, headers_of(delivery_id, self._clock.now(), secret, body))

    def _now_ms(self) -> int:
        return milliseconds(self._clock.now())
