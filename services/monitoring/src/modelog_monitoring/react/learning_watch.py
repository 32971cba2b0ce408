"""Raises an alert with every monitor of a deployment whose model stopped learning, and another when it learns again."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id

from modelog_monitoring.handle.monitors import MonitorEntities
from modelog_monitoring.level.decide import label
from modelog_monitoring.monitor.commands import PassOn
from modelog_monitoring.monitor.events import AlertKind
from modelog_monitoring.react.attempts import Attempts
from modelog_monitoring.react.bell import Bell
from modelog_monitoring.react.catalog import Catalog
from modelog_monitoring.react.learning_inbox import LearningInbox, Told

ACTOR = "service:monitoring"
log = structlog.get_logger()


class LearningWatch:
    """`run` it as a task of its own and ring `bell` when something came."""

    def __init__(self, monitors: MonitorEntities, catalog: Catalog, inbox: LearningInbox, clock: Clock) -> None:
        self._monitors, self._catalog, self._inbox, self._clock = monitors, catalog, inbox, clock
        self.bell = Bell()

    async def run(self) -> None:
        """Watch until cancelled. What cannot be told now is told later, in order."""
        attempts = Attempts(asyncio.get_running_loop().time)
        while True:
            await attempts.in_order("learning", self._inbox.next, self.take, _about, "alert of learning waits")
            await self.bell.wait(attempts.next_s())

    async def take(self, told: Told) -> None:
        """Tell every monitor of the deployment, whose channels then get it as they get its own alerts."""
        await self._catalog.refresh()
        kind = AlertKind.LEARNING_STOPPED if told.stopped else AlertKind.LEARNING_RESUMED
        for monitor in self._catalog.monitors_of(told.tenant, told.deployment):
            alert_id = derived_id("learning", told.tenant, str(told.position), monitor.id)
            ctx = Context(self._clock.now(), ACTOR, told.tenant, derived_id("learning alert", alert_id))
            await self._monitors.handle(monitor.id, PassOn(alert_id, kind, label(told.at), told.text), ctx)
        # Only now: if this process dies before, the same alerts are raised again, once.
        self._inbox.done(told.position)


def _about(told: Told) -> Any:
    return log.bind(deployment=told.deployment, position=told.position)
