"""Measures requests of traffic: how long each answer took, or that there was none; in windows, in bounded memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import AlreadyExists, Invalid

from modelog_serving.routing.routes import Route
from modelog_serving.traffic.commands import RecordWindow
from modelog_serving.traffic.events import VersionTraffic
from modelog_serving.traffic.latency import bucket_of, latencies_of, quantile_ms

# Windows that could not be told yet, because the log of events was away: a day of one deployment.
MOST_CLOSED = 1440
# The caller's own mistakes: they say nothing of the model.
CALLERS = (Invalid, AlreadyExists)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
log = structlog.get_logger()


@dataclass(frozen=True)
class Closed:
    """A window of one deployment of a tenant, ready to be told."""

    tenant: str
    window: RecordWindow


@dataclass
class Total:
    """What was measured of one version of a deployment since the process started."""

    answered: int = 0
    answered_s: float = 0.0
    failed: int = 0
    failed_s: float = 0.0
    last: datetime | None = None


@dataclass
class _Counts:
    errors: int = 0
    buckets: Counter[int] = field(default_factory=Counter)


@dataclass
class Measured:
    """A request that is being measured; it counts as failed if somebody says so, though something else answers it."""

    failed: bool = False


class Meter:
    """Counts in the event loop's thread; windows of `every` begin at multiples of it since 1970.

    A request belongs to the window in which it was answered. Memory is bounded: twice some 200 buckets for each version
    that answers, and the last 1,440 closed windows.
    """

    def __init__(self, clock: Clock, every: timedelta, timer_s: Callable[[], float] = perf_counter) -> None:
        self._clock, self._every, self._timer_s = clock, every, timer_s
        self._open: dict[tuple[str, str, str, str], dict[str, _Counts]] = {}
        self._begin(clock.now())
        self._closed: deque[Closed] = deque()
        self._totals: dict[tuple[str, str, str], Total] = {}
        self._before: dict[tuple[str, str], _Counts] = {}

    @contextmanager
    def measuring(self, route: Route, version: str) -> Iterator[Measured]:
        """Measure the block, which answers one request; what is the caller's own mistake is not counted."""
        began_s, measured = self._timer_s(), Measured()
        try:
            yield measured
        except CALLERS:
            raise
        except BaseException:
            # A caller that gave up waiting had no answer either.
            self._failed(route, version, self._timer_s() - began_s)
            raise
        count = self._failed if measured.failed else self.answered
        count(route, version, self._timer_s() - began_s)

    def _failed(self, route: Route, version: str, took_s: float) -> None:
        now = self._clock.now()
        self._counts(route, version, now).errors += 1
        total = self._total(route, version, now)
        total.failed += 1
        total.failed_s += took_s

    def answered(self, route: Route, version: str, took_s: float, requests: int = 1) -> None:
        """Count requests of traffic that were answered, each after so long."""
        now = self._clock.now()
        self._counts(route, version, now).buckets[bucket_of(took_s * 1000)] += requests
        total = self._total(route, version, now)
        total.answered += requests
        total.answered_s += took_s * requests

    def busy_s(self) -> float:
        """How long all requests of traffic took together since the process started."""
        return sum(total.answered_s + total.failed_s for total in self._totals.values())

    def p95_ms(self) -> float | None:
        """In this time 95 of 100 answers of the open window were given, by any version; None without an answer."""
        buckets: Counter[int] = Counter()
        for versions in self._open.values():
            for counts in versions.values():
                buckets.update(counts.buckets)
        return quantile_ms(buckets, 0.95)

    def untold(self, deployment_id: str) -> list[VersionTraffic]:
        """What was measured of a deployment and is not told yet: of the window that is open, and of those that wait."""
        found = [v for c in self._closed if c.window.deployment_id == deployment_id for v in c.window.versions]
        for (_, of, _, _), versions in self._open.items():
            found += _versions(versions) if of == deployment_id else ()
        return found

    def total(self, tenant: str, deployment: str, version: str) -> Total:
        """All requests of traffic since the process started."""
        return self._totals.get((tenant, deployment, version), Total())

    def totals(self) -> list[tuple[tuple[str, str, str], Total]]:
        """All of them by tenant, deployment and version."""
        return list(self._totals.items())

    def add(self, closed: Closed) -> None:
        """Count what another process measured into the window that is open now."""
        self._turn(self._clock.now())
        window = closed.window
        about = closed.tenant, window.deployment_id, window.deployment, window.model
        of = self._open.setdefault(about, {})
        for version in window.versions:
            counts, latencies = of.setdefault(version.version, _Counts()), version.latencies
            counts.errors += version.errors
            counts.buckets.update({latencies.first + n: count for n, count in enumerate(latencies.counts) if count})

    def add_total(self, key: tuple[str, str, str], more: Total) -> None:
        """Count what another process measured of a tenant's deployment's version since it last told."""
        total = self._totals.setdefault(key, Total())
        total.answered += more.answered
        total.answered_s += more.answered_s
        total.failed += more.failed
        total.failed_s += more.failed_s
        total.last = self._clock.now()

    def _total(self, route: Route, version: str, now: datetime) -> Total:
        key = route.tenant, route.deployment.name, version
        total = self._totals.get(key)
        if total is None:
            total = self._totals[key] = Total()
        total.last = now
        return total

    def _counts(self, route: Route, version: str, now: datetime) -> _Counts:
        self._turn(now)
        about = route.deployment
        key = route.tenant, about.id, about.name, about.model
        of = self._open.get(key)
        if of is None:
            of = self._open[key] = {}
        counts = of.get(version)
        if counts is None:
            counts = of[version] = _Counts()
        return counts

    def latencies(self, deployment_id: str, version: str) -> tuple[Counter[int], int]:
        """Since the process started: the answers of a version by bucket of latency, and the requests without one."""
        counts = self._before.get((deployment_id, version), _Counts())
        buckets, errors = Counter(counts.buckets), counts.errors
        for (_, of, _, _), versions in self._open.items():
            if of == deployment_id and version in versions:
                buckets.update(versions[version].buckets)
                errors += versions[version].errors
        return buckets, errors

    def closed(self, *, all_of_it: bool = False) -> deque[Closed]:
        """The windows that are over, oldest first, to be taken from the left; with `all_of_it` the open one too."""
        self._turn(self._clock.now())
        if all_of_it:
            self._close()
        return self._closed

    def _floor(self, moment: datetime) -> datetime:
        return moment - (moment - _EPOCH) % self._every

    def _begin(self, moment: datetime) -> None:
        """A window that has this moment in it."""
        self._start = self._floor(moment)
        self._end = self._start + self._every

    def _turn(self, now: datetime) -> None:
        # A clock that was turned back goes on in the window that is open.
        if now >= self._end:
            self._close()
            self._begin(now)

    def _close(self) -> None:
        end = self._end
        for (tenant, deployment_id, name, model), versions in self._open.items():
            window = RecordWindow(deployment_id, name, model, self._start, end, _versions(versions))
            self._closed.append(Closed(tenant, window))
            for version, counts in versions.items():
                before = self._before.setdefault((deployment_id, version), _Counts())
                before.errors += counts.errors
                before.buckets.update(counts.buckets)
        self._open = {}
        while len(self._closed) > MOST_CLOSED:
            lost = self._closed.popleft()
            log.error("a window of traffic was never told", deployment=lost.window.deployment, start=lost.window.start)


def _versions(versions: dict[str, _Counts]) -> tuple[VersionTraffic, ...]:
    return tuple(
        VersionTraffic(version, c.buckets.total() + c.errors, c.errors, latencies_of(c.buckets))
        for version, c in sorted(versions.items())
    )
