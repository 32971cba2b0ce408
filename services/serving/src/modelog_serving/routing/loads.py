"""What scaling goes by: the requests under way, and how long answers took, of a deployment or one of its versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic

from modelog_serving.crew.scaling import Seen
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route
from modelog_serving.traffic.latency import quantile_ms

QUANTILE = 0.95


class Loads:
    """`begin` each look, then ask once for each deployment, or each of its versions."""

    def __init__(self, meter: Meter, timer_s: Callable[[], float] = monotonic) -> None:
        self._meter, self._timer_s = meter, timer_s
        self._busy_s: dict[tuple[str, str], float] = {}
        self._buckets: dict[tuple[str, str], Counter[int]] = {}
        self._looked_s = timer_s()
        self._passed_s = 0.0

    def begin(self) -> float:
        """What is asked for from now on is of the time since the look before; returns the present moment."""
        now_s = self._timer_s()
        self._passed_s, self._looked_s = now_s - self._looked_s, now_s
        return now_s

    def seen(self, route: Route, version: str = "") -> Seen:
        """Of all versions, or of one."""
        key = route.deployment.id, version
        busy_s, buckets = 0.0, Counter[int]()
        for (tenant, name, of), total in self._meter.totals():
            if (tenant, name) == (route.tenant, route.deployment.name) and version in ("", of):
                busy_s += total.answered_s + total.failed_s
                buckets.update(self._meter.latencies(route.deployment.id, of)[0])
        new_s, new = busy_s - self._busy_s.get(key, busy_s), buckets - self._buckets.get(key, buckets)
        self._busy_s[key], self._buckets[key] = busy_s, buckets
        return Seen(new_s / self._passed_s if self._passed_s > 0 else 0.0, quantile_ms(new, QUANTILE))
