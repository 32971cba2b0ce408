"""Tells closed windows of traffic to the log of events, once each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.domain.ids import derived_id, uuid7
from modelog_common.events.entities import Entities

from modelog_serving.routing.meter import Closed, Meter
from modelog_serving.traffic.commands import TrafficCommand
from modelog_serving.traffic.events import TrafficEvent, VersionTraffic
from modelog_serving.traffic.state import Traffic

ACTOR = "service:serving"
LOOK_S = 0.5
log = structlog.get_logger()
TrafficEntities = Entities[Traffic, TrafficCommand, TrafficEvent]


class TrafficWindows:
    """`run` it as a task of its own, and `finish` when no more requests come."""

    def __init__(self, meter: Meter, entities: TrafficEntities, clock: Clock) -> None:
        self._meter, self._entities, self._clock = meter, entities, clock
        self._turn = asyncio.Lock()
        # Names this process: a later one may tell of the same window once more.
        self._process, self._told = str(uuid7()), 0
        # The position of the last window that was told: up to it, what was measured is in the log of events.
        self._position = 0

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(LOOK_S)

    async def finish(self) -> None:
        """Tell of the open window too. What cannot be told now is lost."""
        await self.tell(all_of_it=True)

    async def untold(self, deployment_id: str, reached: Callable[[], int]) -> tuple[int, list[VersionTraffic]]:
        """A position, no earlier than `reached` then, and what was measured and is not in the log up to it.

        Of one moment between two windows: with the events up to the position nothing is lacking or counted twice.
        """
        async with self._turn:
            return max(self._position, reached()), self._meter.untold(deployment_id)

    async def tell(self, *, all_of_it: bool = False) -> None:
        """Tell of every window that is over; what cannot be told now is told later, in order."""
        async with self._turn:
            waiting = self._meter.closed(all_of_it=all_of_it)
            while waiting:
                closed = waiting[0]
                try:
                    self._position = await self._record(closed)
                except (Unavailable, Conflict) as error:
                    log.warning("windows of traffic wait", windows=len(waiting), error=str(error))
                    return
                self._told += 1
                # Counting goes on meanwhile, and the oldest one may have been given up.
                if waiting and waiting[0] is closed:
                    waiting.popleft()

    async def _record(self, closed: Closed) -> int:
        entity = closed.window.deployment_id
        request_id = derived_id("traffic", self._process, entity, str(self._told))
        ctx = Context(self._clock.now(), ACTOR, closed.tenant, request_id)
        return (await self._entities.handle(entity, closed.window, ctx)).position
