"""Closes windows: when the watermarks say that a window is complete, it is evaluated, once and in order."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities

from modelog_monitoring.data.rows import Span, read_rows, to_micros, to_moment
from modelog_monitoring.data.store import Flow, Kind, WindowStore
from modelog_monitoring.handle.reference import References
from modelog_monitoring.monitor.commands import Findings, MonitorCommand, RecordWindow
from modelog_monitoring.monitor.events import MonitorCreated, MonitorEvent
from modelog_monitoring.monitor.state import Monitor
from modelog_monitoring.monitor.window import Window, window_at
from modelog_monitoring.react.attempts import Attempts
from modelog_monitoring.react.bell import Bell
from modelog_monitoring.react.catalog import Catalog, Owned
from modelog_monitoring.react.settled import Settled, seen_until_us
from modelog_monitoring.stats.profile import Profile

ACTOR = "service:monitoring"
log = structlog.get_logger()


class WindowWatch:
    """Evaluates the windows of all monitors; `run` it as a task of its own and ring `bell` when something came."""

    def __init__(
        self,
        monitors: Entities[Monitor, MonitorCommand, MonitorEvent],
        catalog: Catalog,
        store: WindowStore,
        references: References,
        settled: Settled,
        clock: Clock,
    ) -> None:
        self._monitors, self._catalog, self._store = monitors, catalog, store
        self._references, self._settled, self._clock = references, settled, clock
        self.bell = Bell()

    async def run(self) -> None:
        """Watch until cancelled. A monitor whose window cannot be evaluated is tried again; the others go on."""
        attempts = Attempts(asyncio.get_running_loop().time)
        while True:
            for monitor in self._catalog.monitors:
                close, told = partial(self.close_windows, monitor), log.bind(monitor=monitor.id)
                await attempts.attempt(monitor.id, close, told, "window was not evaluated")
            await self.bell.wait(attempts.next_s())

    async def close_windows(self, monitor: Owned[Monitor]) -> None:
        """Evaluate every window of this monitor that is complete."""
        entity = await self._monitors.load(monitor.id)
        about, since = entity.state.definition, entity.state.evaluated_until
        flow = Flow(Kind.PREDICTIONS, about.deployment, monitor.tenant)
        seen_us = await asyncio.to_thread(seen_until_us, self._store, flow, labelled=bool(about.label_column))
        await self._close_windows(monitor, about, since, flow)
        self._settled.windows_done(monitor.id, seen_us)

    async def _close_windows(
        self, monitor: Owned[Monitor], about: MonitorCreated, since: datetime | None, flow: Flow
    ) -> None:
        while True:
            first_us = await asyncio.to_thread(self._store.first_after, flow, 0 if since is None else to_micros(since))
            if first_us is None:
                return
            window = window_at(about.window, to_moment(first_us))
            if not await asyncio.to_thread(is_complete, self._store, about, flow, window):
                return
            profile = await self._references.profile(about.profile_digest)
            findings = await asyncio.to_thread(evaluate, self._store, about, flow, window, profile)
            if findings is not None:
                ctx = Context(
                    self._clock.now(), ACTOR, monitor.tenant, derived_id("window", monitor.id, window.start.isoformat())
                )
                await self._monitors.handle(monitor.id, RecordWindow(window, findings), ctx)
                log.info("window evaluated", monitor=about.name, window=window.label, predictions=findings.predictions)
            since = window.end


def is_complete(store: WindowStore, about: MonitorCreated, flow: Flow, window: Window) -> bool:
    """Whether no more predictions of the window can come, and its outcomes have had their time.

    A monitor without a label column looks at drift only and awaits no outcomes.
    """
    predictions_us = store.watermark(flow)
    if predictions_us is None or predictions_us < to_micros(window.end):
        return False
    if not about.label_column:
        return True
    outcomes_us = store.watermark(Flow(Kind.OUTCOMES, flow.deployment, flow.tenant))
    return outcomes_us is not None and outcomes_us >= known_until_us(about, window)


def known_until_us(about: MonitorCreated, window: Window) -> int:
    """Outcomes that were known before this count for the window; what comes to be known later does not.

    None count for a monitor without a label column, which does not wait for them: whether they are there is chance.
    """
    if not about.label_column:
        return 0
    return to_micros(window.end + timedelta(seconds=about.allowed_lateness_s))


def evaluate(
    store: WindowStore, about: MonitorCreated, flow: Flow, window: Window, profile: Profile
) -> Findings | None:
    """The figures of a window, None when it has no rows. The same data gives the same figures, whenever it is asked."""
    span = Span(to_micros(window.start), to_micros(window.end), known_until_us(about, window))
    rows = read_rows(store, flow, span, list(profile.kinds))
    # Imported when it is needed: scipy.stats takes longer to import than all the rest, and a restart must not wait.
    from modelog_monitoring.react.figures import findings_of

    return findings_of(profile, about.drift, rows) if len(rows) else None
