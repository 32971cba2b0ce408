"""Deployments that rest: nobody asked them for so long that their models are let go of, until somebody asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from time import monotonic

import structlog

from modelog_serving.engine.models import Models
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Routes

LOOK_S = 0.5
log = structlog.get_logger()


def rest(routes: Routes, models: Models, resting: Iterable[str]) -> None:
    """Have these deployments rest here, by their ids, and no others. A request that comes loads its model again."""
    before = routes.resting
    routes.resting = frozenset(resting)
    needed = routes.digests()
    for route in routes.running():
        if route.deployment.id in routes.resting - before:
            for variant in route.needed:
                if variant.digest not in needed:
                    models.drop(route.ref(variant))


class Idle:
    """Decides who rests, by the requests that all processes counted. `run` it as a task of its own; `tell` hears the
    ids of those that rest, whenever that changes."""

    def __init__(
        self,
        routes: Routes,
        models: Models,
        meter: Meter,
        tell: Callable[[Iterable[str]], None],
        timer_s: Callable[[], float] = monotonic,
    ) -> None:
        self._routes, self._models, self._meter = routes, models, meter
        self._tell, self._timer_s = tell, timer_s
        self._seen: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Have those rest that may, and were asked nothing for long enough."""
        now_s, requests = self._timer_s(), self._requests()
        resting = set()
        for route in self._routes.running():
            deployment, scaling = route.deployment, route.deployment.scaling
            count = requests[route.tenant, deployment.name]
            known, last_s = self._seen.get(deployment.id, (-1, now_s))
            if count != known:
                last_s = now_s
            self._seen[deployment.id] = count, last_s
            if scaling is not None and scaling.scale_to_zero and now_s - last_s >= scaling.idle_s:
                resting.add(deployment.id)
        if resting != self._routes.resting:
            log.info("deployments rest", deployments=sorted(resting))
            rest(self._routes, self._models, resting)
            self._tell(resting)

    def _requests(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for (tenant, deployment, _), total in self._meter.totals():
            found[tenant, deployment] += total.answered + total.failed
        return found
