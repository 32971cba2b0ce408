"""Vouching for curves: the log gets one event for a batch of points that the store of curves holds.

A batch of many points is sealed as soon as it is stored, or a quarter of a second after the run's last seal; smaller
ones together: when they have become many, when a second has passed, when the run ends, or when somebody asks. Whoever
logs does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from weakref import WeakValueDictionary

import structlog
from modelog_common.domain.clock import Clock
from modelog_common.domain.context import Context
from modelog_common.domain.errors import NotFound, Unavailable
from modelog_common.domain.ids import derived_id
from modelog_common.events.entities import Entities
from modelog_common.stores.curves import Batch, CurveStore, digest_of

from modelog_registry.handle.acknowledged import Acknowledged
from modelog_registry.handle.latest import latest_of
from modelog_registry.run.commands import RunCommand, SealMetrics
from modelog_registry.run.events import RunEvent
from modelog_registry.run.state import Run

# A batch of so many points is sealed by itself.
LARGE = 100
# So many gathered points are sealed together.
MANY = 1000
AFTER_S = 1.0
# A run that logs without end is not sealed more often than this, unless somebody asks. A seal costs as much as it has
# metrics, so a run of many rests longer.
BETWEEN_S, EACH_S, LONGEST_S = 0.25, 0.002, 4.0
AGAIN_S = 1.0
log = structlog.get_logger()


@dataclass
class _Waiting:
    """Batches of one run that are stored and not vouched for, by number."""

    tenant: str
    due: float
    batches: list[Batch] = field(default_factory=list)
    points: int = 0


class Sealing:
    """Seals what is stored; `run` is its background work."""

    def __init__(
        self,
        curves: CurveStore,
        runs: Entities[Run, RunCommand, RunEvent],
        acknowledged: Acknowledged,
        clock: Clock,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`before` is done with the store of curves before anything else."""
        self._curves, self._runs, self._clock, self._before = curves, runs, clock, before
        self._recovered, self._recovering = False, asyncio.Lock()
        self._acknowledged = acknowledged
        self._waiting: dict[str, _Waiting] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # When the next seal of a run that was sealed a moment ago may be due.
        self._rested: dict[str, float] = {}
        self._wake = asyncio.Event()

    def note(self, batch: Batch) -> None:
        """A batch was stored; it will be sealed."""
        now = asyncio.get_running_loop().time()
        waiting = self._waiting.get(batch.run)
        if waiting is None:
            waiting = self._waiting[batch.run] = _Waiting(batch.tenant, now + AFTER_S)
            self._wake.set()
        waiting.batches.append(batch)
        waiting.points += batch.count
        if batch.count >= LARGE or waiting.points >= MANY:
            waiting.due = max(now, self._rested.get(batch.run, now))
            self._wake.set()

    async def start(self) -> None:
        """Recover before anybody is answered; while the store is away, `run` and whoever asks try it again."""
        try:
            await self.recover()
        except Unavailable as error:
            log.warning("the store of curves is away", why=str(error))

    async def recover(self) -> None:
        """Go on where a process before this one was stopped, or with a log that was restored to before it sealed.

        Once; raises Unavailable when it cannot be done now.
        """
        async with self._recovering:
            if self._recovered:
                return
            if self._before is not None:
                await self._before()
            for run_id, last in await self._curves.runs():
                loaded = await self._runs.current(run_id)
                if loaded.state.started is None:
                    log.warning("the store of curves has a run that the log does not know", run_id=run_id)
                elif loaded.state.sealed < last:
                    await self._curves.unseal(run_id, loaded.state.sealed)
            for batch in await self._curves.unsealed():
                self.note(batch)
            self._recovered = True

    async def run(self) -> None:
        """Seal what is due, until cancelled. Raises Unavailable while it cannot be known what waits."""
        await self.recover()
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            self._rested = {run_id: at for run_id, at in self._rested.items() if at > loop.time()}
            due = [run_id for run_id, waiting in self._waiting.items() if waiting.due <= loop.time()]
            await asyncio.gather(*(self._try(run_id) for run_id in due))
            next_s = min((w.due for w in self._waiting.values()), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_s):
                    await self._wake.wait()

    async def _try(self, run_id: str) -> None:
        try:
            await self.seal(run_id)
        except Unavailable as error:
            log.warning("metrics wait to be sealed", run_id=run_id, why=str(error))

    async def seal(self, run_id: str) -> None:
        """Vouch for everything of a run that was stored until now. Raises Unavailable; then it is tried again."""
        if not self._recovered:
            await self.recover()
        if run_id not in self._waiting and run_id not in self._locks:
            return
        lock = self._locks.setdefault(run_id, asyncio.Lock())
        async with lock:
            waiting = self._waiting.pop(run_id, None)
            if waiting is None:
                return
            try:
                await self._vouch(run_id, waiting)
            except BaseException:
                self._put_back(run_id, waiting)
                raise

    def _put_back(self, run_id: str, waiting: _Waiting) -> None:
        """Ahead of what came since."""
        since = self._waiting.get(run_id)
        if since is not None:
            waiting.batches.extend(since.batches)
            waiting.points += since.points
        waiting.due = asyncio.get_running_loop().time() + AGAIN_S
        self._waiting[run_id] = waiting

    async def seal_all(self, tenant: str) -> None:
        """Vouch for everything of a tenant."""
        if not self._recovered:
            await self.recover()
        mine = [run_id for run_id, waiting in self._waiting.items() if waiting.tenant == tenant]
        for run_id in {*mine, *self._locks}:
            await self.seal(run_id)

    async def close(self) -> None:
        """Seal what waits."""
        for run_id in list(self._waiting):
            await self._try(run_id)

    async def _vouch(self, run_id: str, waiting: _Waiting) -> None:
        sealed = (await self._runs.current(run_id)).state.sealed
        # What was found at the start may have been noted, too.
        noted = {b.number: b for b in waiting.batches if b.number > sealed}
        batches = [noted[number] for number in sorted(noted)]
        if not batches:
            return
        last = batches[-1].number
        if len(batches) != last - sealed:
            # Somebody who gave up before the answer left a batch that nobody noted.
            batches = await self._curves.batches(run_id, sealed + 1, last)
        for author, own in groupby(batches, key=lambda b: b.author):
            await self._seal_batches(run_id, waiting.tenant, author, list(own))
        await self._curves.seal(run_id, last)
        metrics = max(len(batch.block.names) for batch in batches)
        rest_s = min(max(BETWEEN_S, metrics * EACH_S), LONGEST_S)
        self._rested[run_id] = asyncio.get_running_loop().time() + rest_s

    async def _seal_batches(self, run_id: str, tenant: str, author: str, batches: Sequence[Batch]) -> None:
        first, last = batches[0].number, batches[-1].number
        command = SealMetrics(
            run_id, first, last, sum(b.count for b in batches), digest_of(batches), latest_of(batches)
        )
        request_id = derived_id("seal", run_id, str(first), str(last))
        ctx = Context(self._clock.now(), author, tenant, request_id, correlation_id=request_id)
        try:
            after = await self._runs.handle(run_id, command, ctx)
        except NotFound:
            log.warning("the log does not know a run that has metrics", run_id=run_id)
            return
        self._acknowledged.note(tenant, after.position)
