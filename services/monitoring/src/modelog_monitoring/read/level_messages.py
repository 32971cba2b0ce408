"""From service levels to the messages that queries answer with, and sums of hours over a period."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from modelog_proto.monitoring.v1 import level_pb2 as pb

from modelog_monitoring.level.decide import burn_rate, promised
from modelog_monitoring.level.events import Objective, Severity, Tally
from modelog_monitoring.level.latency import Latencies
from modelog_monitoring.level.state import HOUR, HourSum, Level, Tallies, Version, added
from modelog_monitoring.read.moments import timestamp

OBJECTIVES = {
    Objective.AVAILABILITY: pb.LEVEL_OBJECTIVE_AVAILABILITY,
    Objective.LATENCY_P50: pb.LEVEL_OBJECTIVE_LATENCY_P50,
    Objective.LATENCY_P99: pb.LEVEL_OBJECTIVE_LATENCY_P99,
}
_OBJECTIVES = {number: objective for objective, number in OBJECTIVES.items()}
SEVERITIES = {Severity.PAGE: pb.LEVEL_SEVERITY_PAGE, Severity.TICKET: pb.LEVEL_SEVERITY_TICKET}


def level_message(level: Level, name: str, version: Version, position: int) -> pb.ServiceLevel:
    """What is known without the hours: targets, burn rates and open alerts, as of the deployment's last window."""
    targets = {objective: target for objective, target, _ in promised(level.targets)}
    attainments = []
    for objective in Objective:
        if objective not in targets and not any(objective in slot.tallies for slot in version.hours):
            continue
        attainment = pb.LevelAttainment(objective=OBJECTIVES[objective], target=targets.get(objective))
        rate = burn_rate(version.tally(objective, level.end - HOUR))
        if math.isfinite(rate):
            attainment.burn_rate = rate
        attainments.append(attainment)
    return pb.ServiceLevel(
        deployment=level.deployment,
        model=level.model,
        version=name,
        targets=level.targets.number,
        until=timestamp(level.end),
        attainments=attainments,
        alerts=[
            pb.LevelAlert(
                id=open_alert.alert_id,
                objective=OBJECTIVES[open_alert.objective],
                severity=SEVERITIES[open_alert.severity],
                text=open_alert.text,
                at=timestamp(open_alert.at),
            )
            for objective in Objective
            if (open_alert := version.burning(objective)) is not None
        ],
        position=position,
    )


def hour_message(hour: HourSum) -> pb.LevelHour:
    return pb.LevelHour(
        start=timestamp(hour.start),
        requests=hour.requests,
        errors=hour.errors,
        latencies=pb.LatencyBuckets(first=hour.latencies.first, counts=hour.latencies.counts),
        tallies=[
            pb.LevelTally(objective=OBJECTIVES[o], judged=t.judged, missed=t.missed, allowed=t.allowed)
            for o, t in hour.tallies.items()
        ],
    )


def begins(level: pb.ServiceLevel, period: timedelta) -> datetime:
    """The hour in which a period begins that ends with the level's last window."""
    return (level.until.ToDatetime(UTC) - period).replace(minute=0, second=0, microsecond=0)


def fill(level: pb.ServiceLevel, since: datetime, hours: Sequence[pb.LevelHour]) -> None:
    """Write into a level what its hours since then say."""
    latencies, tallies = Latencies(), _no_tallies()
    for hour in hours:
        latencies += Latencies(hour.latencies.first, tuple(hour.latencies.counts))
        tallies = added(tallies, {_OBJECTIVES[t.objective]: Tally(t.judged, t.missed, t.allowed) for t in hour.tallies})
    getattr(level, "from").FromDatetime(since)  # the field's name is a keyword
    level.requests = sum(hour.requests for hour in hours)
    level.errors = sum(hour.errors for hour in hours)
    p50_ms, p99_ms = latencies.quantile_ms(0.5), latencies.quantile_ms(0.99)
    if p50_ms is not None and p99_ms is not None:
        level.latency_p50_ms, level.latency_p99_ms = p50_ms, p99_ms
    for attainment in level.attainments:
        tally = tallies.get(_OBJECTIVES[attainment.objective], Tally(0, 0, 0.0))
        attainment.judged, attainment.missed = tally.judged, tally.missed
        attainment.attained_percent = 100.0 if tally.judged == 0 else 100 * (1 - tally.missed / tally.judged)
        rate = burn_rate(tally)
        attainment.budget_left_percent = 100 * (1 - rate) if math.isfinite(rate) else 0.0


def _no_tallies() -> Tallies:
    return {}
