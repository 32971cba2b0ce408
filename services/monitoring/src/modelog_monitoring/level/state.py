"""A deployment's service level as its events left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from modelog_common.domain.errors import NotFound

from modelog_monitoring.level.events import (
    LevelBurning,
    LevelEvent,
    LevelMeasured,
    LevelMet,
    Objective,
    Tally,
    Targets,
    VersionLevel,
)
from modelog_monitoring.level.latency import Latencies

# The period of an error budget, and how long single minutes are kept: as long as a burn rate looks back at them.
PERIOD = timedelta(days=30)
MINUTES_FOR = timedelta(hours=6)
# Windows of several processes come out of order. One that comes later than this after a later one is not counted.
LATEST = timedelta(hours=3)
HOUR = timedelta(hours=1)
Tallies = Mapping[Objective, Tally]


@dataclass(frozen=True)
class Slot:
    """What was tallied in the minute or hour that begins at `start`."""

    start: datetime
    tallies: Tallies


@dataclass(frozen=True)
class HourSum:
    """All of an hour's requests."""

    start: datetime
    requests: int = 0
    errors: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    tallies: Tallies = field(default_factory=dict)


@dataclass(frozen=True)
class Alarm:
    """The last alert about an objective, and what ended it."""

    burning: LevelBurning
    met: LevelMet | None = None


@dataclass(frozen=True)
class Version:
    """One version: minutes and hours oldest first, the last hours in full, and the last alert of each objective."""

    minutes: tuple[Slot, ...] = ()
    hours: tuple[Slot, ...] = ()
    sums: tuple[HourSum, ...] = ()
    alarms: Mapping[Objective, Alarm] = field(default_factory=dict)

    def tally(self, objective: Objective, since: datetime) -> Tally:
        """What was tallied since then: by the minute if minutes go back so far, else by the hour."""
        slots = self.minutes if self.minutes and since >= self.minutes[-1].start - MINUTES_FOR else self.hours
        total = Tally(0, 0, 0.0)
        for slot in reversed(slots):
            if slot.start < since:
                break
            total += slot.tallies.get(objective, Tally(0, 0, 0.0))
        return total

    def burning(self, objective: Objective) -> LevelBurning | None:
        """The alert that is open."""
        alarm = self.alarms.get(objective)
        return None if alarm is None or alarm.met is not None else alarm.burning


@dataclass(frozen=True)
class Level:
    """A deployment's level; before its first window it has no name.

    `until` is the end of the last window, `told` the position of serving's last event that was taken in, `targets` what
    its window was held against.
    """

    deployment: str = ""
    model: str = ""
    until: datetime | None = None
    told: int = 0
    targets: Targets = field(default_factory=Targets)
    versions: Mapping[str, Version] = field(default_factory=dict)

    @property
    def end(self) -> datetime:
        """The end of the last window; raises NotFound when there was none."""
        if self.until is None:
            raise NotFound("no window of this deployment was held against targets yet")
        return self.until


def evolve(level: Level, event: LevelEvent) -> Level:
    """Fold one event."""
    match event:
        case LevelMeasured():
            return _measured(level, event)
        case LevelBurning():
            return _with_alarm(level, event, Alarm(event))
        case LevelMet():
            before = level.versions[event.version].alarms[event.objective]
            return _with_alarm(level, event, replace(before, met=event))
        case _:
            assert_never(event)


def _with_alarm(level: Level, event: LevelBurning | LevelMet, alarm: Alarm) -> Level:
    version = level.versions[event.version]
    changed = replace(version, alarms={**version.alarms, event.objective: alarm})
    return replace(level, versions={**level.versions, event.version: changed})


def _measured(level: Level, event: LevelMeasured) -> Level:
    until = event.end if level.until is None else max(level.until, event.end)
    versions = dict(level.versions)
    for found in event.versions:
        versions[found.version] = _added(versions.get(found.version, Version()), event.start, found)
    kept = {name: _forgotten(version, until) for name, version in versions.items()}
    return replace(
        level,
        deployment=event.deployment,
        model=event.model,
        until=until,
        told=event.told,
        targets=event.targets,
        # A version that answers no more is forgotten when its last hour is.
        versions={name: v for name, v in kept.items() if v.hours or any(v.burning(o) for o in v.alarms)},
    )


def _added(version: Version, start: datetime, found: VersionLevel) -> Version:
    minute = start.replace(second=0, microsecond=0)
    hour = minute.replace(minute=0)
    return replace(
        version,
        minutes=_merged(version.minutes, minute, found.tallies),
        hours=_merged(version.hours, hour, found.tallies),
        sums=_summed(version.sums, hour, found),
    )


def _merged(slots: tuple[Slot, ...], start: datetime, tallies: Tallies) -> tuple[Slot, ...]:
    place = next((n for n in range(len(slots), 0, -1) if slots[n - 1].start <= start), 0)
    if place and slots[place - 1].start == start:
        return (*slots[: place - 1], Slot(start, added(slots[place - 1].tallies, tallies)), *slots[place:])
    return (*slots[:place], Slot(start, tallies), *slots[place:])


def _summed(sums: tuple[HourSum, ...], start: datetime, found: VersionLevel) -> tuple[HourSum, ...]:
    before = next((s for s in sums if s.start == start), HourSum(start))
    after = HourSum(
        start,
        before.requests + found.requests,
        before.errors + found.errors,
        before.latencies + found.latencies,
        added(before.tallies, found.tallies),
    )
    return tuple(sorted([*(s for s in sums if s.start != start), after], key=lambda s: s.start))


def added(one: Tallies, other: Tallies) -> Tallies:
    """Both together."""
    none = Tally(0, 0, 0.0)
    return {o: one.get(o, none) + other.get(o, none) for o in Objective if o in one or o in other}


def _forgotten(version: Version, until: datetime) -> Version:
    """Without what is too old to count."""
    return replace(
        version,
        minutes=tuple(s for s in version.minutes if s.start >= until - MINUTES_FOR),
        hours=tuple(s for s in version.hours if s.start > until - PERIOD - HOUR),
        sums=tuple(s for s in version.sums if s.start > until - LATEST - 2 * HOUR),
    )
