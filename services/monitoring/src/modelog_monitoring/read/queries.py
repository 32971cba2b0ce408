"""Monitoring's answers: one thing or a page of them, as of a moment, for one tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from modelog_common.domain.errors import Invalid, NotFound
from modelog_common.read.moment import ReadOptions
from modelog_common.read.queries import Found, Page, Queries
from modelog_proto.common.v1.common_pb2 import Page as PageMessage
from modelog_proto.common.v1.common_pb2 import ReadOptions as ReadOptionsMessage
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb

from modelog_monitoring.data.rows import to_moment
from modelog_monitoring.data.store import Flow, Kind, WindowStore
from modelog_monitoring.react.settled import Settled
from modelog_monitoring.read.messages import WAITING
from modelog_monitoring.read.moments import timestamp
from modelog_monitoring.read.series import METRICS, SeriesProjection, Spans
from modelog_monitoring.read.tables import ALERTS, CANARY_LOOKS, MONITORS, POLICIES, RETRAININGS, WINDOWS

T = TypeVar("T")
# What is known of an alert that a channel has not taken: (alert id, channel) -> "waiting" or the last error.
DeliveryStatus = Callable[[str, str], str]
ONE = PageMessage(size=1)


class MonitoringQueries:
    """Queries over the read tables, the window store and the series. What does not exist raises NotFound."""

    def __init__(
        self,
        queries: Queries,
        data: WindowStore,
        series: SeriesProjection,
        settled: Settled,
        delivery_status: DeliveryStatus,
    ) -> None:
        self._queries, self._data, self._series, self._status = queries, data, series, delivery_status
        self._settled = settled

    async def monitor(self, name: str, read: ReadOptions, tenant: str) -> pb.Monitor:
        """A monitor; watermarks and counts are those of now, and left out as of an earlier moment."""
        found = await self._queries.one(MONITORS, pb.Monitor, read, tenant, name=name)
        monitor = _existing(found, f"there is no monitor {name!r}", read)
        return await self._with_progress(monitor, read, tenant)

    async def monitors(self, page: Page, read: ReadOptions, tenant: str) -> Found[pb.Monitor]:
        """Monitors by name."""
        found = await self._queries.page(MONITORS, pb.Monitor, read, tenant, page)
        for monitor in found.items:
            await self._with_progress(monitor, read, tenant)
        return found

    async def _with_progress(self, monitor: pb.Monitor, read: ReadOptions, tenant: str) -> pb.Monitor:
        if not read.as_of:
            settled_us = self._settled.of(monitor.id)
            if settled_us is not None:
                # Who sees that a moment is settled finds its windows and retrainings in the next answer.
                await self._queries.moment(ReadOptionsMessage(at_least=self._settled.position))
                monitor.settled_watermark.CopyFrom(timestamp(to_moment(settled_us)))
            await asyncio.to_thread(_add_progress, self._data, monitor, tenant)
        return monitor

    async def windows(self, monitor: str, page: Page, read: ReadOptions, tenant: str) -> Found[pb.Window]:
        """A monitor's windows, oldest first."""
        found = await self._queries.one(MONITORS, pb.Monitor, read, tenant, name=monitor)
        _existing(found, f"there is no monitor {monitor!r}", read)
        t = WINDOWS.table.c
        return await self._queries.page(
            WINDOWS, pb.Window, read, tenant, page, where=[t.monitor == monitor], order_by=[t.start_us]
        )

    async def alerts(self, monitor: str, page: Page, read: ReadOptions, tenant: str) -> Found[pb.Alert]:
        """Alerts of one monitor or, for an empty name, of all; newest first. Errors are those of now."""
        t = ALERTS.table.c
        where = [t.monitor == monitor] if monitor else []
        found = await self._queries.page(ALERTS, pb.Alert, read, tenant, page, where=where, order_by=[t.raised.desc()])
        if not read.as_of:
            for alert in found.items:
                # A protobuf map that is set while it is walked skips entries, one time in ten.
                for channel, status in list(alert.deliveries.items()):
                    if status == WAITING:
                        alert.deliveries[channel] = self._status(alert.id, channel)
        return found

    async def policy(self, name: str, read: ReadOptions, tenant: str) -> pb.RetrainingPolicy:
        found = await self._queries.one(POLICIES, pb.RetrainingPolicy, read, tenant, name=name)
        return _existing(found, f"there is no retraining policy {name!r}", read)

    async def policies(self, page: Page, read: ReadOptions, tenant: str) -> Found[pb.RetrainingPolicy]:
        """Policies by name."""
        return await self._queries.page(POLICIES, pb.RetrainingPolicy, read, tenant, page)

    async def retrainings(self, policy: str, page: Page, read: ReadOptions, tenant: str) -> Found[pb.Retraining]:
        """Retrainings of one policy or, for an empty name, of all; oldest first."""
        t = RETRAININGS.table.c
        where = [t.policy == policy] if policy else []
        return await self._queries.page(
            RETRAININGS, pb.Retraining, read, tenant, page, where=where, order_by=[t.started]
        )

    async def retraining(self, retraining_id: str, read: ReadOptions, tenant: str) -> pb.Retraining:
        found = await self._queries.one(RETRAININGS, pb.Retraining, read, tenant, retraining_id=retraining_id)
        return _existing(found, f"there is no retraining {retraining_id!r}", read)

    async def canary_looks(
        self, retraining_id: str, page: Page, read: ReadOptions, tenant: str
    ) -> Found[pb.CanaryLook]:
        """What was known of a retraining's canary, oldest look first."""
        await self.retraining(retraining_id, read, tenant)
        t = CANARY_LOOKS.table.c
        return await self._queries.page(
            CANARY_LOOKS, pb.CanaryLook, read, tenant, page, where=[t.retraining == retraining_id], order_by=[t.number]
        )

    async def series(
        self, monitor: str, metric: str, read: ReadOptions, tenant: str, spans: Spans | None = None
    ) -> list[pb.SeriesPoint]:
        """A metric over time, by time and then line; raises Invalid for a metric that is not kept.

        As of a moment the series end with the last window of that moment: windows are evaluated in order, each once.
        """
        found = await self._queries.one(MONITORS, pb.Monitor, read, tenant, name=monitor)
        _existing(found, f"there is no monitor {monitor!r}", read)
        if metric not in METRICS:
            raise Invalid.field("metric", f"{metric!r} is not a series; there are {', '.join(METRICS)}")
        await self._series.cover(read)
        end = None
        if read.as_of:
            last = await self._last_window(monitor, read, tenant)
            if last is None:
                return []
            end = last + timedelta(microseconds=1)
        points = await self._series.points(metric, {"tenant": tenant, "monitor": monitor}, spans, end)
        return [pb.SeriesPoint(at=timestamp(p.time), value=p.value, line=p.line) for p in points]

    async def _last_window(self, monitor: str, read: ReadOptions, tenant: str) -> datetime | None:
        """When the last window that had been evaluated begins."""
        t = WINDOWS.table.c
        last = await self._queries.page(
            WINDOWS, pb.Window, read, tenant, ONE, where=[t.monitor == monitor], order_by=[t.start_us.desc()]
        )
        return last.items[0].start.ToDatetime(UTC) if last.items else None


def _add_progress(data: WindowStore, monitor: pb.Monitor, tenant: str) -> None:
    predictions = Flow(Kind.PREDICTIONS, monitor.deployment, tenant)
    outcomes = Flow(Kind.OUTCOMES, monitor.deployment, tenant)
    monitor.predictions, monitor.outcomes = data.rows(predictions), data.rows(outcomes)
    for flow, mark in ((predictions, monitor.predictions_watermark), (outcomes, monitor.outcomes_watermark)):
        watermark_us = data.watermark(flow)
        if watermark_us is not None:
            mark.CopyFrom(timestamp(to_moment(watermark_us)))


def _existing(found: T | None, otherwise: str, read: ReadOptions) -> T:
    if found is None:
        raise NotFound(f"{otherwise} as of {read.as_of}" if read.as_of else otherwise)
    return found
