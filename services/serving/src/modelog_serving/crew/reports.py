"""Reports: what a worker counted since the last one, and how the process that decides adds it up."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass

from modelog_serving.crew.frames import Breakers, BreakerSeen, Mirrored, Report, Seconds
from modelog_serving.releasing.mirror import Mirror, Shadow
from modelog_serving.routing.breaker import State
from modelog_serving.routing.caching import AnswerCache
from modelog_serving.routing.counters import Counters
from modelog_serving.routing.guards import Guards
from modelog_serving.routing.meter import Meter, Total


@dataclass(frozen=True)
class Counted:
    """Where a process counts what it answered."""

    meter: Meter
    counters: Counters
    cache: AnswerCache
    mirror: Mirror
    guards: Guards


class Reporter:
    """Makes reports of a worker: each has what was counted since the one before."""

    def __init__(self, counted: Counted) -> None:
        self._of = counted
        self._totals: dict[tuple[str, str, str], Total] = {}
        self._rows: Counter[tuple[str, str, str]] = Counter()
        self._lookups: Counter[tuple[str, str, bool]] = Counter()
        self._guarded: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]] = Counter(), Counter()
        self._shadows: dict[str, tuple[Shadow, Shadow]] = {}
        self._breakers: dict[tuple[str, str], tuple[State, float]] = {}

    def report(self) -> Report | None:
        """What is new; None when nothing is."""
        windows = self._of.meter.closed(all_of_it=True)
        closed = tuple(windows)
        windows.clear()
        report = Report(
            closed, self._seconds(), self._new_rows(), self._new_lookups(), self._new_copies(), self._new_guarded()
        )
        return None if report == Report() else report

    def breakers(self) -> Breakers | None:
        """All breakers, if one of them opened, closed, came or went since the last time; None otherwise."""
        found = list(self._of.guards.all_breakers())
        now = {(of, seen.version): (seen.state, again_s) for of, seen, again_s in found}
        if now == self._breakers:
            return None
        self._breakers = now
        return Breakers(tuple(BreakerSeen(of, *seen) for of, seen, _ in found))

    def _seconds(self) -> tuple[Seconds, ...]:
        found = []
        for key, total in self._of.meter.totals():
            before = self._totals.get(key, Total())
            if (total.answered, total.failed) != (before.answered, before.failed):
                found.append(
                    Seconds(
                        *key,
                        total.answered - before.answered,
                        total.answered_s - before.answered_s,
                        total.failed - before.failed,
                        total.failed_s - before.failed_s,
                    )
                )
                self._totals[key] = deepcopy(total)
        return tuple(found)

    def _new_rows(self) -> tuple[tuple[str, str, str, int], ...]:
        now = self._of.counters.all()
        new = now - self._rows
        self._rows = now
        return tuple((*key, rows) for key, rows in new.items())

    def _new_lookups(self) -> tuple[tuple[str, str, bool, int], ...]:
        now = self._of.cache.lookups()
        new = now - self._lookups
        self._lookups = now
        return tuple((*key, count) for key, count in new.items())

    def _new_guarded(self) -> tuple[tuple[str, str, int, int], ...]:
        now = self._of.guards.counts()
        retries, fallbacks = (of - before for of, before in zip(now, self._guarded, strict=True))
        self._guarded = now
        return tuple((*key, retries[key], fallbacks[key]) for key in sorted({*retries, *fallbacks}))

    def _new_copies(self) -> tuple[Mirrored, ...]:
        found, kept = [], {}
        for deployment_id, shadow in self._of.mirror.shadows():
            known, before = self._shadows.get(deployment_id, (shadow, Shadow(shadow.ref)))
            # One that was lifted and cast again counts from nothing.
            before = before if known is shadow else Shadow(shadow.ref)
            if _copies(shadow) != _copies(before):
                found.append(_difference(deployment_id, shadow, before))
            kept[deployment_id] = shadow, deepcopy(shadow)
        self._shadows = kept
        return tuple(found)


def take(report: Report, counted: Counted) -> int:
    """Add up what a worker reports; returns how many requests of traffic that were."""
    for closed in report.windows:
        counted.meter.add(closed)
    for seconds in report.seconds:
        key = seconds.tenant, seconds.deployment, seconds.version
        counted.meter.add_total(key, Total(seconds.answered, seconds.answered_s, seconds.failed, seconds.failed_s))
    for tenant, deployment, version, rows in report.rows:
        counted.counters.add(tenant, deployment, version, rows)
    for tenant, deployment, hit, count in report.lookups:
        counted.cache.add(tenant, deployment, count, hit=hit)
    for tenant, deployment, retries, fallbacks in report.guarded:
        counted.guards.add(tenant, deployment, retries, fallbacks)
    for copies in report.mirrored:
        shadow = dict(counted.mirror.shadows()).get(copies.deployment_id)
        if shadow is not None and shadow.ref.digest == copies.digest:
            _add(shadow, copies)
    return sum(seconds.answered + seconds.failed for seconds in report.seconds)


def _copies(shadow: Shadow) -> tuple[int, int, int]:
    return shadow.compared, shadow.failed, shadow.dropped


def _difference(deployment_id: str, now: Shadow, before: Shadow) -> Mirrored:
    return Mirrored(
        deployment_id,
        now.ref.digest,
        now.alike - before.alike,
        now.compared - before.compared,
        now.failed - before.failed,
        now.dropped - before.dropped,
        now.differences - before.differences,
        now.most,
        dict(now.buckets - before.buckets),
    )


def _add(shadow: Shadow, copies: Mirrored) -> None:
    shadow.alike += copies.alike
    shadow.compared += copies.compared
    shadow.failed += copies.failed
    shadow.dropped += copies.dropped
    shadow.differences += copies.differences
    shadow.most = max(shadow.most, copies.most)
    shadow.buckets.update(copies.buckets)
