"""Points of metrics: kept in the store of curves, read as the log vouches for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from modelog_common.domain.context import Context
from modelog_common.domain.errors import ModelogError
from modelog_common.events.entities import Entities
from modelog_common.stores.curves import Batch, Block, Curve, CurveStore
from modelog_common.stores.curves.thinning import Span, Thinned

from modelog_registry.handle.sealing import Sealing
from modelog_registry.run.commands import RunCommand
from modelog_registry.run.events import RunEvent
from modelog_registry.run.state import Run

# How many batches are read at once.
PAGE = 200


class Metrics:
    """The points of all runs."""

    def __init__(self, curves: CurveStore, runs: Entities[Run, RunCommand, RunEvent], sealing: Sealing) -> None:
        self._curves, self._runs, self._sealing = curves, runs, sealing

    async def log(self, run_id: str, block: Block, ctx: Context) -> int:
        """Durable when this returns; the position of the run's last event."""
        position, kept = await self._keep(run_id, block, ctx)
        self._note(await kept)
        return position

    async def log_all(self, logged: Iterable[tuple[str, Block, Context]]) -> None:
        """Of several runs, in one go; raises the first error when all have been tried."""
        refused: list[BaseException] = []
        waiting = []
        for run_id, block, ctx in logged:
            try:
                waiting.append((await self._keep(run_id, block, ctx))[1])
            except ModelogError as error:
                refused.append(error)
        for kept in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(kept, BaseException):
                refused.append(kept)
            else:
                self._note(kept)
        if refused:
            raise refused[0]

    async def _keep(self, run_id: str, block: Block, ctx: Context) -> tuple[int, Awaitable[Batch | None]]:
        """The position of the run's last event, and the batch when it is kept.

        What is asked of the run is what this process knows of it: what was acknowledged is vouched for even when the
        run ended meanwhile.
        """
        run = await self._runs.recent(run_id)
        run.state.open(run_id, ctx.tenant)
        return run.position, self._curves.append(run_id, ctx.tenant, ctx.actor, ctx.request_id, block)

    def _note(self, batch: Batch | None) -> None:
        if batch is not None:
            self._sealing.note(batch)

    async def check(self, run_id: str, tenant: str) -> None:
        """Raises NotFound for a run that the tenant does not have."""
        (await self._runs.current(run_id)).state.existing(run_id, tenant)

    async def sealed(self, run_id: str, tenant: str, until: int | None) -> int:
        """The number of the last batch that the log vouches for, now or as of a position; raises NotFound."""
        if until is None:
            await self._sealing.seal(run_id)
            state = (await self._runs.current(run_id)).state
        else:
            state = (await self._runs.load(run_id, until=until)).state
        state.existing(run_id, tenant)
        return state.sealed

    async def history(self, run_id: str, metric: str, last: int, offset: int, limit: int) -> Curve:
        return await self._curves.history(run_id, metric, last, offset, limit)

    async def thinned(self, run_id: str, metric: str, last: int, size: int, span: Span | None) -> Thinned:
        return await self._curves.thinned(run_id, metric, last, size, span)

    async def told(self, run_id: str, last: int, most: int) -> list[Curve]:
        """The first curves of a run, of at most so many points, as they were logged."""
        found: list[Curve] = []
        for first in range(1, last + 1, PAGE):
            for batch in await self._curves.batches(run_id, first, min(last, first + PAGE - 1)):
                for curve in batch.block.curves:
                    if most <= 0:
                        return found
                    found.append(Curve(curve.name, curve.steps[:most], curve.times_ms[:most], curve.values[:most]))
                    most -= len(curve.values)
        return found
