"""A monitor as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_monitoring.monitor.events import (
    AlertDelivered,
    AlertRaised,
    MonitorCreated,
    MonitorEvent,
    ReferenceMoved,
    WindowEvaluated,
)


@dataclass(frozen=True)
class Alert:
    """An alert and the channels that took it."""

    raised: AlertRaised
    delivered: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Monitor:
    """A monitor; before its first event it has no definition.

    Windows are evaluated in order: `evaluated_until` is the end of the last one. `champion`, `reference_auc` and
    `reference_log_loss` are what quality is held against now.
    """

    created: MonitorCreated | None = None
    evaluated_until: datetime | None = None
    champion: str = ""
    reference_auc: float = 0.0
    reference_log_loss: float = 0.0
    alerts: Mapping[str, Alert] = field(default_factory=dict)

    @property
    def definition(self) -> MonitorCreated:
        """What was asked for; raises NotFound when there is no such monitor."""
        if self.created is None:
            raise NotFound("there is no such monitor; create it first")
        return self.created


def evolve(monitor: Monitor, event: MonitorEvent) -> Monitor:
    """Fold one event."""
    match event:
        case MonitorCreated():
            return replace(
                monitor,
                created=event,
                champion=event.champion,
                reference_auc=event.reference_auc,
                reference_log_loss=event.reference_log_loss,
            )
        case WindowEvaluated(end=end):
            return replace(monitor, evaluated_until=end)
        case ReferenceMoved(version=version, auc=auc, log_loss=log_loss):
            return replace(monitor, champion=version, reference_auc=auc, reference_log_loss=log_loss)
        case AlertRaised(alert_id=alert_id):
            return replace(monitor, alerts={**monitor.alerts, alert_id: Alert(event)})
        case AlertDelivered(alert_id=alert_id, channel=channel):
            alert = monitor.alerts[alert_id]
            taken = replace(alert, delivered=alert.delivered | {channel})
            return replace(monitor, alerts={**monitor.alerts, alert_id: taken})
        case _:
            assert_never(event)
