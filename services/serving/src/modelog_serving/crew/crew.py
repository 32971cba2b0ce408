"""The workers: started, kept, told what is decided, added up, and drained."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog
from modelog_common.domain.errors import Unavailable
from modelog_common.telemetry import metrics

from modelog_serving.crew.frames import Begin, Published, Report, Rest, ToWorker, shadows_of
from modelog_serving.crew.reports import Counted, take
from modelog_serving.crew.slot import Ask, Slot
from modelog_serving.failure.commands import FailureCommand
from modelog_serving.routing.failures import FailureLog
from modelog_serving.routing.routes import Routes
from modelog_serving.worker.ended import pause_s

# Eight processes on two busy cores may take this long to import what they need, and to read their models.
START_S = 300.0
# One that ends so often before it ever answered will not come up.
TRIES = 3
TELL_S = 1.0
# Beyond what requests under way have, for the end of a process.
END_S = 15.0
log = structlog.get_logger()


class Crew:
    """`start` it before anything else is served, `run` it as a task of its own, and `stop` it when no more requests
    come. `published` says, for each worker, how far its prediction log was published.
    """

    def __init__(
        self,
        begins: Sequence[Begin],
        routes: Routes,
        counted: Counted,
        failures: FailureLog,
        published: Sequence[Callable[[], int]],
        drain_s: float,
    ) -> None:
        self._routes, self.counted, self._failures = routes, counted, failures
        self._published, self._drain_s = published, drain_s
        self.slots = [Slot(begin.number, begin, self) for begin in begins]
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._answer: Callable[[Slot, Ask], Awaitable[None]] | None = None
        self._answering: set[asyncio.Future[None]] = set()
        for slot in self.slots:
            slot.wanted.set()
        counted.mirror.when_changed(self._tell_shadows)

    def answer_by(self, answer: Callable[[Slot, Ask], Awaitable[None]]) -> None:
        """Have what workers ask answered."""
        self._answer = answer

    @property
    def listening(self) -> int:
        """How many workers answer requests now."""
        return sum(slot.listening.is_set() for slot in self.slots)

    @property
    def wanted(self) -> int:
        """How many there should be."""
        return sum(slot.wanted.is_set() for slot in self.slots)

    def have(self, workers: int) -> None:
        """Have so many, from 1 to as many as there are slots: the others drain, and answer what they have."""
        for slot in self.slots:
            if slot.number <= workers:
                slot.wanted.set()
            elif slot.wanted.is_set():
                slot.wanted.clear()
                slot.drain()

    def rest(self, resting: Iterable[str]) -> None:
        """Have all of them let go of the models of these deployments."""
        for slot in self.slots:
            slot.tell(Rest(tuple(resting)))

    async def start(self) -> None:
        """Return when all workers answer requests; raises Unavailable when one does not come up."""
        self._tasks = [asyncio.create_task(self._keep(slot), name=f"worker {slot.number}") for slot in self.slots]
        up = asyncio.create_task(self._all_listen())
        waited = [up, *self._tasks]
        done, _ = await asyncio.wait(waited, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if up in done:
            return
        up.cancel()
        await self._end()
        for task in done:
            task.result()
        raise Unavailable(f"the workers of serving did not come up in {START_S:g} s")

    async def _all_listen(self) -> None:
        for slot in self.slots:
            await slot.listening.wait()

    async def run(self) -> None:
        """Keep them until cancelled."""
        try:
            while True:
                done, _ = await asyncio.wait(self._tasks, timeout=TELL_S, return_when=asyncio.FIRST_COMPLETED)
                for task in () if self._stopping else done:
                    task.result()
                for slot in self.slots:
                    slot.tell(Published(self._published[slot.number - 1]()))
                if done:
                    await asyncio.sleep(TELL_S)
        finally:
            await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, slot: Slot) -> None:
        """Have a worker in a slot, until it is to stop; raises Unavailable for one that never came up."""
        ends: deque[float] = deque(maxlen=20)
        came_up = False
        while not self._stopping:
            await slot.wanted.wait()
            ended, up = asyncio.ensure_future(slot.live()), asyncio.ensure_future(slot.listening.wait())
            try:
                await asyncio.wait([ended, up], return_when=asyncio.FIRST_COMPLETED)
                came_up = came_up or up.done()
                how = await ended
            finally:
                for task in (ended, up):
                    task.cancel()
                await asyncio.gather(ended, up, return_exceptions=True)
            if self._stopping:
                return
            if not slot.wanted.is_set():
                continue
            ends.append(time.monotonic())
            text = f"worker {slot.number} of serving {how}"
            if not came_up and len(ends) >= TRIES:
                raise Unavailable(f"{text}, {TRIES} times before it answered anything")
            self._lost(text)
            await asyncio.sleep(pause_s(ends, ends[-1]))

    def _lost(self, text: str) -> None:
        """It had all models of all deployments."""
        log.error("a worker ended, and is started again", why=text)
        for digest in sorted(self._routes.digests()):
            self._failures.failed(digest, "died", text)

    async def stop(self) -> None:
        """Have all of them drain, and add up what they say at last."""
        self._stopping = True
        for slot in self.slots:
            if not slot.wanted.is_set() and slot.pid is None:
                self._tasks[slot.number - 1].cancel()
            slot.drain()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._drain_s + END_S)
            for slot in self.slots if late else ():
                slot.kill()

    # What slots ask and tell.

    def position(self) -> int:
        return self._routes.position

    def reported(self, number: int, report: Report) -> None:
        requests = take(report, self.counted)
        if requests:
            metrics.worker_requests().add(requests, {metrics.ATTRIBUTE_WORKER: str(number)})

    def failed(self, digest: str, cause: str, text: str) -> None:
        self._failures.failed(digest, cause, text)

    def recorded(self, tenant: str, command: FailureCommand) -> None:
        self._failures.record(tenant, command)

    def asked(self, slot: Slot, ask: Ask) -> None:
        if self._answer is not None:
            answering = asyncio.ensure_future(self._answer(slot, ask))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)

    def welcome(self, number: int) -> list[ToWorker]:
        return [self._shadows(), Rest(tuple(self._routes.resting)), Published(self._published[number - 1]())]

    def _shadows(self) -> ToWorker:
        return shadows_of([(deployment_id, shadow.ref) for deployment_id, shadow in self.counted.mirror.shadows()])

    def _tell_shadows(self) -> None:
        for slot in self.slots:
            slot.tell(self._shadows())
