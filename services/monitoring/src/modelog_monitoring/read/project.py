"""How events fill the read tables."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.ids import derived_id
from modelog_common.events.store import EventStore, StoredEvent
from modelog_common.read.project import EntityProjection, Projection
from modelog_common.read.tables import Change, Put

from modelog_monitoring.abtest.decide import AB_TEST
from modelog_monitoring.abtest.events import AbTestLooked
from modelog_monitoring.abtest.state import AbTest
from modelog_monitoring.data.rows import to_micros
from modelog_monitoring.events import EVENTS
from modelog_monitoring.level.decide import LEVEL, label
from modelog_monitoring.level.events import LevelBurning, LevelMeasured, LevelMet
from modelog_monitoring.level.state import Level
from modelog_monitoring.monitor.decide import MONITOR
from modelog_monitoring.monitor.events import AlertDelivered, AlertRaised, WindowEvaluated
from modelog_monitoring.monitor.state import Monitor
from modelog_monitoring.policy.decide import POLICY
from modelog_monitoring.policy.state import Policy
from modelog_monitoring.read.ab_messages import ab_test_message, look_message
from modelog_monitoring.read.canary_messages import canary_look_message
from modelog_monitoring.read.level_messages import hour_message, level_message
from modelog_monitoring.read.messages import (
    alert_message,
    monitor_message,
    policy_message,
    retraining_message,
    window_message,
)
from modelog_monitoring.read.tables import (
    AB_LOOKS,
    AB_TESTS,
    ALERTS,
    CANARY_LOOKS,
    LEVEL_HOURS,
    LEVELS,
    MONITORS,
    POLICIES,
    RETRAININGS,
    WINDOWS,
)
from modelog_monitoring.retraining.decide import RETRAINING
from modelog_monitoring.retraining.events import CanaryLooked
from modelog_monitoring.retraining.state import Retraining


def projections(store: EventStore) -> list[Projection]:
    """All of monitoring's read tables."""
    return [
        EntityProjection(store, MONITOR, EVENTS, monitor_rows),
        EntityProjection(store, POLICY, EVENTS, policy_rows),
        EntityProjection(store, RETRAINING, EVENTS, retraining_rows),
        EntityProjection(store, AB_TEST, EVENTS, ab_test_rows),
        EntityProjection(store, LEVEL, EVENTS, level_rows),
    ]


def monitor_rows(monitor: Monitor, stored: StoredEvent) -> Sequence[Change]:
    """The monitor's own row, and the row of the window or alert that the event is about."""
    about = monitor.definition
    body = monitor_message(monitor, stored.position).SerializeToString()
    changes: list[Change] = [Put(MONITORS, {"name": about.name}, body, {})]
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    if isinstance(event, WindowEvaluated):
        body = window_message(event, stored.position).SerializeToString()
        values = {"monitor": about.name, "start_us": to_micros(event.start)}
        changes.append(Put(WINDOWS, {"window_id": event.window_id}, body, values))
    if isinstance(event, AlertRaised | AlertDelivered):
        alert = monitor.alerts[event.alert_id]
        body = alert_message(alert, monitor, stored.position).SerializeToString()
        values = {"monitor": about.name, "raised": to_micros(alert.raised.at)}
        changes.append(Put(ALERTS, {"alert_id": event.alert_id}, body, values))
    return changes


def policy_rows(policy: Policy, stored: StoredEvent) -> Sequence[Change]:
    if policy.created is None:
        return ()
    body = policy_message(policy.created, stored.position).SerializeToString()
    return [Put(POLICIES, {"name": policy.created.name}, body, {})]


def retraining_rows(retraining: Retraining, stored: StoredEvent) -> Sequence[Change]:
    """The retraining's own row, and the row of the look at its canary that the event is about."""
    terms = retraining.terms
    body = retraining_message(retraining, stored.position).SerializeToString()
    values = {"policy": terms.policy, "started": to_micros(terms.at)}
    changes: list[Change] = [Put(RETRAININGS, {"retraining_id": terms.retraining_id}, body, values)]
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    if isinstance(event, CanaryLooked):
        body = canary_look_message(event, stored.position).SerializeToString()
        key = {"look_id": f"{event.retraining_id}/{event.number}"}
        changes.append(Put(CANARY_LOOKS, key, body, {"retraining": event.retraining_id, "number": event.number}))
    return changes


def ab_test_rows(test: AbTest, stored: StoredEvent) -> Sequence[Change]:
    """The test's own row, and the row of the look that the event is about."""
    about = test.definition
    body = ab_test_message(test, stored.position).SerializeToString()
    changes: list[Change] = [Put(AB_TESTS, {"name": about.name}, body, {"deployment": about.plan.deployment})]
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    if isinstance(event, AbTestLooked):
        body = look_message(event, stored.position).SerializeToString()
        key = {"look_id": f"{event.test_id}/{event.number}"}
        changes.append(Put(AB_LOOKS, key, body, {"test": about.name, "number": event.number}))
    return changes


def level_rows(level: Level, stored: StoredEvent) -> Sequence[Change]:
    """The rows of the versions that the event is about, and those of the hour that a window belongs to."""
    event = EVENTS.decode(stored.type, stored.schema, stored.payload)
    if isinstance(event, LevelBurning | LevelMet):
        return [_level_row(level, event.version, stored.position)]
    if not isinstance(event, LevelMeasured):
        return ()
    changes: list[Change] = []
    for name in (found.version for found in event.versions):
        changes.append(_level_row(level, name, stored.position))
        start = event.start.replace(minute=0, second=0, microsecond=0)
        hour = next(s for s in level.versions[name].sums if s.start == start)
        key = {"hour_id": derived_id(level.deployment, name, label(start))}
        values = {"deployment": level.deployment, "version": name, "start_us": to_micros(start)}
        changes.append(Put(LEVEL_HOURS, key, hour_message(hour).SerializeToString(), values))
    return changes


def _level_row(level: Level, name: str, position: int) -> Change:
    body = level_message(level, name, level.versions[name], position).SerializeToString()
    return Put(LEVELS, {"deployment": level.deployment, "version": name}, body, {"model": level.model})
