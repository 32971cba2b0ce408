"""Tells the log of events of models whose processes had to be replaced, and of circuit breakers, once for each
deployment that it is about."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import Conflict, Unavailable
from modelog_common.domain.ids import derived_id, uuid7
from modelog_common.events.entities import Entities

from modelog_serving.failure.commands import FailureCommand, RecordFailure
from modelog_serving.failure.events import FailureEvent
from modelog_serving.failure.state import Failures
from modelog_serving.routing.routes import Routes

ACTOR = "service:serving"
LOOK_S = 0.5
# A model that fails again and again is given pauses; more than this only waits where the log cannot be written.
MOST_WAITING = 1000
log = structlog.get_logger()
FailureEntities = Entities[Failures, FailureCommand, FailureEvent]
Told = Iterable[tuple[str, FailureCommand]]


@dataclass(frozen=True)
class _Waiting:
    """`about` gives tenants and what is told them, when it is told."""

    number: int
    about: Callable[[], Told]


class FailureLog:
    """`failed` is called from any thread; `run` it as a task of its own, and `tell` when no more requests come."""

    def __init__(self, routes: Routes, entities: FailureEntities, clock: Clock) -> None:
        self._routes, self._entities, self._clock = routes, entities, clock
        self._waiting: deque[_Waiting] = deque(maxlen=MOST_WAITING)
        self._turn = asyncio.Lock()
        # Names this process, whose numbers begin with 1.
        self._process, self._count = str(uuid7()), 0

    def failed(self, digest: str, cause: str, text: str) -> None:
        """A model's process had to be replaced."""
        log.error("a model failed", digest=digest, cause=cause, why=text)
        at = self._clock.now()

        def about() -> Told:
            for route in self._routes.running():
                of = route.deployment
                for variant in route.variants.values():
                    if variant.digest == digest:
                        command = RecordFailure(of.id, of.name, of.model, variant.version, digest, cause, text, at)
                        yield route.tenant, command

        self._add(about)

    def record(self, tenant: str, command: FailureCommand) -> None:
        """Something that is about one version of one deployment."""
        self._add(lambda: [(tenant, command)])

    def _add(self, about: Callable[[], Told]) -> None:
        self._count += 1
        self._waiting.append(_Waiting(self._count, about))

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(LOOK_S)

    async def tell(self) -> None:
        """Tell of all that waits; what cannot be told now is told later, in order."""
        async with self._turn:
            while self._waiting:
                waiting = self._waiting[0]
                try:
                    await self._record(waiting)
                except (Unavailable, Conflict) as error:
                    log.warning("failures of models wait", failures=len(self._waiting), error=str(error))
                    return
                if self._waiting and self._waiting[0] is waiting:
                    self._waiting.popleft()

    async def _record(self, waiting: _Waiting) -> None:
        for tenant, command in list(waiting.about()):
            of = command.deployment_id
            request_id = derived_id("failure", self._process, str(waiting.number), of, command.version)
            await self._entities.handle(of, command, Context(self._clock.now(), ACTOR, tenant, request_id))
