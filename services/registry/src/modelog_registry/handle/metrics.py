"""Points of metrics: kept in the store of curves, read as the log vouches for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.errors import Invalid
from modelog_common.events.entities import Entities
from modelog_common.stores.curves import Curve, CurveStore

from modelog_registry.handle.sealing import Sealing
from modelog_registry.run.commands import RunCommand
from modelog_registry.run.events import RunEvent
from modelog_registry.run.state import Run

MOST_POINTS = 10_000
# 0001-01-01 to 9999-12-31.
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
# How many batches are read at once.
PAGE = 200


class Metrics:
    """The points of all runs."""

    def __init__(self, curves: CurveStore, runs: Entities[Run, RunCommand, RunEvent], sealing: Sealing) -> None:
        self._curves, self._runs, self._sealing = curves, runs, sealing

    async def log(self, run_id: str, curves: Sequence[Curve], ctx: Context) -> int:
        """Durable when this returns; the position of the run's last event."""
        _check(curves)
        run = await self._runs.current(run_id)
        run.state.open(run_id, ctx.tenant)
        batch = await self._curves.append(run_id, ctx.tenant, ctx.actor, ctx.request_id, curves)
        if batch is not None:
            self._sealing.note(batch)
        return run.position

    async def log_all(self, logged: Iterable[tuple[str, Sequence[Curve], Context]]) -> None:
        """Of several runs, in one go; raises the first error when all have been tried."""
        tried = await asyncio.gather(*(self.log(*one) for one in logged), return_exceptions=True)
        for error in tried:
            if isinstance(error, BaseException):
                raise error

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

    async def told(self, run_id: str, last: int, most: int) -> list[Curve]:
        """The first curves of a run, of at most so many points, as they were logged."""
        found: list[Curve] = []
        for first in range(1, last + 1, PAGE):
            for batch in await self._curves.batches(run_id, first, min(last, first + PAGE - 1)):
                for curve in batch.curves:
                    if most <= 0:
                        return found
                    found.append(Curve(curve.name, curve.steps[:most], curve.times_ms[:most], curve.values[:most]))
                    most -= len(curve.values)
        return found


def _check(curves: Sequence[Curve]) -> None:
    total = 0
    for n, curve in enumerate(curves):
        count = len(curve.values)
        total += count
        if len(curve.steps) != count or len(curve.times_ms) != count:
            raise Invalid.field(
                f"columns[{n}]",
                f"has {len(curve.steps)} steps, {len(curve.times_ms)} times_ms, {count} values; give as many of each",
            )
        if not count:
            raise Invalid.field(f"columns[{n}].values", "has no items; give at least one point")
        if min(curve.times_ms) < FIRST_MS or max(curve.times_ms) > LAST_MS:
            raise Invalid.field(f"columns[{n}].times_ms", "has a time outside the years 1 to 9999, in milliseconds")
    if total > MOST_POINTS:
        raise Invalid.field("columns", f"have {total} points; allowed: {MOST_POINTS}")
