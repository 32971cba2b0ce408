"""The rules of service levels: what a window is held against, and when a budget burns too fast.

The alerts are those of Google's SRE workbook, chapter 5, "multiwindow, multi-burn-rate alerts": a burn rate of 1 uses
the error budget of 30 days up in 30 days. https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.ids import derived_id

from modelog_monitoring.level.commands import LevelCommand, Requests
from modelog_monitoring.level.events import (
    LevelBurning,
    LevelEvent,
    LevelMeasured,
    LevelMet,
    Objective,
    Severity,
    Tally,
    Targets,
    VersionLevel,
)
from modelog_monitoring.level.state import LATEST, Level, Version, evolve


@dataclass(frozen=True)
class Rule:
    """Burning faster than `rate` over both spans; the short one ends the alert soon after the burning has ended."""

    rate: float
    long: timedelta
    short: timedelta
    severity: Severity

    @property
    def name(self) -> str:
        return f"{_words(self.long)} and {_words(self.short)}"


# Table 5-8 of the workbook: 2 % of the budget in an hour, 5 % in six hours, 10 % in three days.
RULES = (
    Rule(14.4, timedelta(hours=1), timedelta(minutes=5), Severity.PAGE),
    Rule(6.0, timedelta(hours=6), timedelta(minutes=30), Severity.PAGE),
    Rule(1.0, timedelta(days=3), timedelta(hours=6), Severity.TICKET),
)
# Where there is little traffic one miss is a high rate. The workbook leaves that to the reader; so many must be there.
FEWEST_MISSED = 5


def decide(level: Level, command: LevelCommand, ctx: Context) -> Sequence[LevelEvent]:
    """A window counts once, in the order of the log; one that comes much too late does not."""
    if command.told <= level.told or (level.until is not None and command.end <= level.until - LATEST):
        return ()
    measured = LevelMeasured(
        level_id=derived_id(ctx.tenant, command.deployment),
        deployment=command.deployment,
        model=command.model,
        start=command.start,
        end=command.end,
        targets=command.targets,
        versions=tuple(judged(version, command.targets) for version in command.versions),
        told=command.told,
        at=ctx.now,
    )
    return [measured, *_alerts(evolve(level, measured), measured, ctx)]


def judged(found: Requests, targets: Targets) -> VersionLevel:
    """A version's requests held against what was promised. What was not answered has no latency."""
    tallies = {
        objective: Tally(of, missed, of * (100 - goal_percent) / 100)
        for objective, target, goal_percent in promised(targets)
        for of, missed in [_missed(found, objective, target)]
    }
    return VersionLevel(found.version, found.requests, found.errors, found.latencies, tallies)


def promised(targets: Targets) -> Iterator[tuple[Objective, float, float]]:
    """What is promised: the objective, its target, and of how many requests of a hundred it is to hold."""
    if targets.availability_percent is not None:
        yield Objective.AVAILABILITY, targets.availability_percent, targets.availability_percent
    if targets.latency_p50_ms is not None:
        yield Objective.LATENCY_P50, targets.latency_p50_ms, 50.0
    if targets.latency_p99_ms is not None:
        yield Objective.LATENCY_P99, targets.latency_p99_ms, 99.0


def burn_rate(tally: Tally) -> float:
    """How many times faster than allowed the budget is used; infinite where no miss is allowed and there was one."""
    if tally.missed == 0:
        return 0.0
    return tally.missed / tally.allowed if tally.allowed > 0 else math.inf


def _missed(found: Requests, objective: Objective, target: float) -> tuple[int, int]:
    if objective is Objective.AVAILABILITY:
        return found.requests, found.errors
    return found.latencies.answers, found.latencies.slower_than(target)


def _alerts(level: Level, measured: LevelMeasured, ctx: Context) -> Iterator[LevelBurning | LevelMet]:
    """Of every version of the deployment: one that has no traffic any more does not burn any more either."""
    for name, version in level.versions.items():
        for objective in Objective:
            rule, before = _burns(version, objective, level.end), version.burning(objective)
            if rule is not None and (before is None or _is_worse(rule, before)):
                yield _burning(measured, name, version, objective, rule, level.end, ctx)
            elif rule is None and before is not None:
                yield _met(measured, before, version, level.end, ctx)


def _burns(version: Version, objective: Objective, end: datetime) -> Rule | None:
    for rule in RULES:
        long = version.tally(objective, end - rule.long)
        if long.missed < FEWEST_MISSED or burn_rate(long) <= rule.rate:
            continue
        if burn_rate(version.tally(objective, end - rule.short)) > rule.rate:
            return rule
    return None


def _is_worse(rule: Rule, before: LevelBurning) -> bool:
    return rule.severity is Severity.PAGE and before.severity is Severity.TICKET


def _burning(
    measured: LevelMeasured,
    name: str,
    version: Version,
    objective: Objective,
    rule: Rule,
    end: datetime,
    ctx: Context,
) -> LevelBurning:
    tally = version.tally(objective, end - rule.long)
    rate = burn_rate(tally)
    fast = f"{rate:.1f} times as fast as its error budget allows" if math.isfinite(rate) else "though none may"
    text = (
        f"{measured.deployment}: {measured.model} {name} misses its {_WORDS[objective]} {fast}, over {rule.name}: "
        f"{tally.missed:,} of {tally.judged:,} requests in {_words(rule.long)}"
    )
    return LevelBurning(
        alert_id=derived_id("level", measured.level_id, name, objective, str(measured.told), rule.severity),
        level_id=measured.level_id,
        deployment=measured.deployment,
        model=measured.model,
        version=name,
        objective=objective,
        severity=rule.severity,
        window=label(measured.start),
        text=text,
        told=measured.told,
        at=ctx.now,
    )


def _met(measured: LevelMeasured, before: LevelBurning, version: Version, end: datetime, ctx: Context) -> LevelMet:
    hour = version.tally(before.objective, end - timedelta(hours=1))
    seen = f"{hour.missed:,} of {hour.judged:,} requests missed it in the last hour" if hour.judged else "no requests"
    return LevelMet(
        alert_id=derived_id("level met", before.alert_id),
        ended=before.alert_id,
        level_id=measured.level_id,
        deployment=measured.deployment,
        model=measured.model,
        version=before.version,
        objective=before.objective,
        window=label(measured.start),
        text=(
            f"{measured.deployment}: {measured.model} {before.version} is within the error budget of its "
            f"{_WORDS[before.objective]} again: {seen}"
        ),
        told=measured.told,
        at=ctx.now,
    )


def label(start: datetime) -> str:
    """What people call a window: "2026-11-26T09:41"."""
    return start.isoformat()[:16]


def _words(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0:
            return f"{minutes // size} {unit}{'' if minutes == size else 's'}"
    raise AssertionError(span)


_WORDS = {
    Objective.AVAILABILITY: "availability target",
    Objective.LATENCY_P50: "target of the latency of half of all answers",
    Objective.LATENCY_P99: "target of the latency of 99 of 100 answers",
}
LEVEL: Decider[Level, LevelCommand, LevelEvent] = Decider("monitoring.level", Level, decide, evolve)
