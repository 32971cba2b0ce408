"""Has as many workers as deployments want: looks at what was counted, and steers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

import structlog

from modelog_serving.crew.crew import Crew
from modelog_serving.crew.scaling import Steering
from modelog_serving.routing.loads import Loads
from modelog_serving.routing.meter import Meter
from modelog_serving.routing.routes import Routes

LOOK_S = 1.0
log = structlog.get_logger()


class Autoscaler:
    """`run` it as a task of its own. All workers answer for all deployments: there are as many as the one wants that
    wants most, and all there may be where no deployment says anything of it."""

    def __init__(self, crew: Crew, routes: Routes, meter: Meter, timer_s: Callable[[], float] = monotonic) -> None:
        self._crew, self._routes, self._loads = crew, routes, Loads(meter, timer_s)
        self._steering: dict[str, Steering] = {}

    async def run(self) -> None:
        """Steer until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> int:
        """How many workers there should be, which the crew is told."""
        now_s = self._loads.begin()
        most = len(self._crew.slots)
        wanted = []
        for route in self._routes.running():
            scaling, deployment_id = route.deployment.scaling, route.deployment.id
            seen = self._loads.seen(route)
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
