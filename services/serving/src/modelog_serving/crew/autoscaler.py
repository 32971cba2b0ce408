"""Has as many workers as deployments want: looks at what was counted, and steers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from time import monotonic

import structlog

from modelog_serving.crew.crew import Crew
from modelog_serving.crew.scaling import Seen, Steering
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Route, Routes
from modelog_serving.traffic.latency import quantile_ms

LOOK_S = 1.0
QUANTILE = 0.95
log = structlog.get_logger()


class Autoscaler:
    """`run` it as a task of its own. All workers answer for all deployments: there are as many as the one wants that
    wants most, and all there may be where no deployment says anything of it."""

    def __init__(self, crew: Crew, routes: Routes, meter: Meter, timer_s: Callable[[], float] = monotonic) -> None:
        self._crew, self._routes, self._meter, self._timer_s = crew, routes, meter, timer_s
        self._steering: dict[str, Steering] = {}
        self._busy_s: dict[str, float] = {}
        self._buckets: dict[str, Counter[int]] = {}
        self._looked_s = timer_s()

    async def run(self) -> None:
        """Steer until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> int:
        """How many workers there should be, which the crew is told."""
        now_s = self._timer_s()
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        most = len(self._crew.slots)
        wanted = []
        for route in self._routes.running():
            scaling, deployment_id = route.deployment.scaling, route.deployment.id
            seen = self._seen(route, passed_s)
            if scaling is None:
                self._steering.pop(deployment_id, None)
                continue
            steering = self._steering.get(deployment_id)
            if steering is None:
                steering = self._steering[deployment_id] = Steering(self._crew.wanted, now_s)
            wanted.append(steering.look(scaling, seen, self._crew.wanted, now_s))
        number = max(1, min(most, max(wanted, default=most)))
        if number != self._crew.wanted:
            log.info("workers of serving", were=self._crew.wanted, wanted=number, most=most)
            self._crew.have(number)
        return number

    def _seen(self, route: Route, passed_s: float) -> Seen:
        of = route.deployment.id
        busy_s, buckets = 0.0, Counter[int]()
        for (tenant, name, version), total in self._meter.totals():
            if (tenant, name) == (route.tenant, route.deployment.name):
                busy_s += total.answered_s + total.failed_s
                buckets.update(self._meter.latencies(of, version)[0])
        new_s, new = busy_s - self._busy_s.get(of, busy_s), buckets - self._buckets.get(of, buckets)
        self._busy_s[of], self._buckets[of] = busy_s, buckets
        return Seen(new_s / passed_s if passed_s > 0 else 0.0, quantile_ms(new, QUANTILE))
