"""Delivers alerts to their channels: at least once, with an idempotency key, until the channel takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.outbound.post import Poster
from modelog_common.outbound.reach import Reach
from modelog_common.privacy.subjects import Subjects

from modelog_monitoring.handle.channels import address_of, shown
from modelog_monitoring.monitor.commands import MonitorCommand, RecordDelivery
from modelog_monitoring.monitor.events import AlertRaised, Channel, MonitorEvent
from modelog_monitoring.monitor.state import Monitor
from modelog_monitoring.react.bell import Bell
from modelog_monitoring.react.catalog import Catalog
from modelog_monitoring.react.ledger import Attempted, Ledger
from modelog_monitoring.react.payloads import payload_for

ACTOR = "service:monitoring"
IDEMPOTENCY_KEY = "Idempotency-Key"
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
GIVEN_UP_AFTER = timedelta(days=1)
SHOWN = 300
log = structlog.get_logger()


@dataclass(frozen=True)
class Delivery:
    """An alert on its way to one channel."""

    tenant: str
    monitor_id: str
    alert: AlertRaised
    channel: Channel

    @property
    def key(self) -> str:
        """The same for every attempt."""
        return derived_id("delivery", self.alert.alert_id, self.channel.name)


class Deliverer:
    """Run it as a task of its own, and ring `bell` when an alert may have been raised."""

    def __init__(
        self,
        monitors: Entities[Monitor, MonitorCommand, MonitorEvent],
        catalog: Catalog,
        ledger: Ledger,
        subjects: Subjects,
        reach: Reach,
        clock: Clock,
    ) -> None:
        self._monitors, self._catalog, self._ledger, self._clock = monitors, catalog, ledger, clock
        self._subjects, self._reach = subjects, reach
        self.bell = Bell()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with Poster(self._reach) as poster:
            while True:
                await asyncio.gather(*(self._attempt(poster, d) for d in self._due()))
                await self.bell.wait(self._pause_s())

    def status(self, alert_id: str, channel: str) -> str:
        """What is known of an alert that this channel has not taken: "waiting", or the last error."""
        attempted = self._ledger.find(alert_id, channel)
        return "waiting" if attempted is None else attempted.error

    def _waiting(self) -> Iterator[Delivery]:
        """What no channel has taken and is worth another attempt."""
        oldest = self._clock.now() - GIVEN_UP_AFTER
        for monitor in self._catalog.monitors:
            for alert in monitor.state.alerts.values():
                if alert.raised.at < oldest:
                    continue
                for channel in monitor.state.definition.channels:
                    if channel.name not in alert.delivered:
                        yield Delivery(monitor.tenant, monitor.id, alert.raised, channel)

    def _due_at(self, delivery: Delivery) -> datetime | None:
        attempted = self._ledger.find(delivery.alert.alert_id, delivery.channel.name)
        return None if attempted is None else attempted.due

    def _due(self) -> list[Delivery]:
        now = self._clock.now()
        return [d for d in self._waiting() if (self._due_at(d) or now) <= now]

    def _pause_s(self) -> float | None:
        now = self._clock.now()
        waits = [((self._due_at(d) or now) - now).total_seconds() for d in self._waiting()]
        return max(0.0, min(waits)) if waits else None

    async def _attempt(self, poster: Poster, delivery: Delivery) -> None:
        alert, channel = delivery.alert, delivery.channel
        before = self._ledger.find(alert.alert_id, channel.name)
        attempts = 1 + (before.attempts if before else 0)
        error = await self._send(poster, delivery)
        if not error:
            error = await self._record(delivery, attempts)
        if error:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts - 1, 20))
            self._ledger.failed(alert.alert_id, channel.name, Attempted(attempts, error, self._clock.now() + pause))
            log.warning("alert was not delivered", alert=alert.alert_id, channel=channel.kind, error=error)
            return
        self._ledger.delivered(alert.alert_id, channel.name)
        await self._catalog.refresh()

    async def _send(self, poster: Poster, delivery: Delivery) -> str:
        """Send it once; returns the error in words, without the address, and "" when the channel took it."""
        try:
            address = await address_of(self._subjects, delivery.channel)
        except Unavailable as unavailable:
            return str(unavailable)
        body = msgspec.json.encode(payload_for(delivery.channel.kind, delivery.alert))
        posted = await poster.post(address, body, {"Content-Type": "application/json", IDEMPOTENCY_KEY: delivery.key})
        error = "" if posted.taken else posted.error or f"answered {posted.status}: {posted.answer}"
        return error.replace(address, shown(delivery.channel))[:SHOWN]

    async def _record(self, delivery: Delivery, attempts: int) -> str:
        """Say so in the log of events; returns the error when that cannot be done now, and then it is sent again."""
        ctx = Context(self._clock.now(), ACTOR, delivery.tenant, delivery.key)
        command = RecordDelivery(delivery.alert.alert_id, delivery.channel.name, attempts)
        try:
            await self._monitors.handle(delivery.monitor_id, command, ctx)
        except (Unavailable, Conflict) as error:
            return f"delivered, but not recorded: {error}"
        return ""
