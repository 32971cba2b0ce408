"""Holds windows of traffic against the targets of their models, in the order of the log, and passes alerts on."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_monitoring.handle.monitors import MonitorEntities
from modelog_monitoring.level.commands import LevelCommand, RecordTraffic
from modelog_monitoring.level.decide import promised
from modelog_monitoring.level.events import LevelBurning, LevelEvent, LevelMet
from modelog_monitoring.level.state import Level
from modelog_monitoring.monitor.commands import PassOn
from modelog_monitoring.monitor.events import AlertKind
from modelog_monitoring.react.attempts import Attempts
from modelog_monitoring.react.bell import Bell
from modelog_monitoring.react.catalog import Catalog
from modelog_monitoring.react.level_inbox import LevelInbox, Waiting

ACTOR = "service:monitoring"
LevelEntities = Entities[Level, LevelCommand, LevelEvent]
log = structlog.get_logger()


class LevelWatch:
    """`run` it as a task of its own and ring `bell` when something came."""

    def __init__(
        self, levels: LevelEntities, monitors: MonitorEntities, catalog: Catalog, inbox: LevelInbox, clock: Clock
    ) -> None:
        self._levels, self._monitors, self._catalog = levels, monitors, catalog
        self._inbox, self._clock = inbox, clock
        self.bell = Bell()

    async def run(self) -> None:
        """Watch until cancelled. A window that cannot be recorded now is tried again, and those behind it wait."""
        attempts = Attempts(asyncio.get_running_loop().time)
        while True:
            await attempts.in_order("window", self._inbox.next, self.take, _about, "window of traffic waits")
            await self.bell.wait(attempts.next_s())

    async def take(self, waiting: Waiting) -> None:
        """Hold one window against what was promised, if anything was."""
        traffic = waiting.traffic
        targets = self._inbox.targets(waiting.tenant, traffic.model, waiting.position)
        if targets is not None and any(promised(targets)):
            command = RecordTraffic(
                traffic.name, traffic.model, traffic.start, traffic.end, traffic.versions, targets, waiting.position
            )
            level_id = derived_id(waiting.tenant, traffic.name)
            request_id = derived_id("level", level_id, str(waiting.position))
            ctx = Context(self._clock.now(), ACTOR, waiting.tenant, request_id)
            level = (await self._levels.handle(level_id, command, ctx)).state
            # Before the window is done: if this process dies in between, the same alerts are passed on then.
            alerts = alerts_of(level, waiting.position)
            if alerts:
                await self._catalog.refresh()
            for alert in alerts:
                await self._pass_on(alert, waiting.tenant)
        self._inbox.done(waiting.position)

    async def _pass_on(self, alert: LevelBurning | LevelMet, tenant: str) -> None:
        """Tell every monitor of the deployment, whose channels then get it as they get its own alerts."""
        kind = AlertKind.SERVICE_LEVEL if isinstance(alert, LevelBurning) else AlertKind.SERVICE_LEVEL_MET
        for monitor in self._catalog.monitors_of(tenant, alert.deployment):
            ctx = Context(self._clock.now(), ACTOR, tenant, derived_id("level alert", alert.alert_id, monitor.id))
            alert_id = derived_id(alert.alert_id, monitor.id)
            await self._monitors.handle(monitor.id, PassOn(alert_id, kind, alert.window, alert.text), ctx)


def _about(waiting: Waiting) -> Any:
    return log.bind(deployment=waiting.traffic.name, window=waiting.position)


def alerts_of(level: Level, told: int) -> list[LevelBurning | LevelMet]:
    """What the window at this position of the log raised and ended."""
    alarms = [alarm for version in level.versions.values() for alarm in version.alarms.values()]
    found: list[LevelBurning | LevelMet | None] = [e for alarm in alarms for e in (alarm.burning, alarm.met)]
    return [e for e in found if e is not None and e.told == told]
