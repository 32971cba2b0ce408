"""What is done in this process and in all its workers, for who decides and for a worker that was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from modelog_common.domain.errors import ModelogError

from modelog_serving.crew.crew import Crew
from modelog_serving.crew.frames import AskDrop, AskLoad, AskSums, Sum, Sums, done
from modelog_serving.crew.reports import Counted
from modelog_serving.crew.slot import Ask, Slot
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.oip.processes import drop_unneeded
from modelog_serving.routing.routes import Routes


class Everywhere:
    """Models and routes of this process and of all its workers: what is loaded is loaded, and what is followed is
    followed, by all of them."""

    def __init__(self, models: Models, routes: Routes, crew: Crew | None = None) -> None:
        self._models, self._routes, self._crew = models, routes, crew

    async def get(self, ref: ModelRef) -> object:
        """Have a model in memory; raises as `Models.get` does when one of them cannot."""
        await self._models.get(ref)
        if self._crew is not None:
            outcomes = await asyncio.gather(*(slot.load(ref) for slot in self._crew.slots), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
        return None

    async def drop(self, refs: Sequence[ModelRef]) -> None:
        """Let go of models, but not of one that traffic needs."""
        drop_unneeded(self._models, self._routes, refs)
        if self._crew is not None:
            await asyncio.gather(*(slot.drop(refs) for slot in self._crew.slots))

    async def catch_up(self) -> None:
        """Answer by everything that is in the log now."""
        await self._routes.catch_up()
        if self._crew is not None:
            position = self._routes.position
            await asyncio.gather(*(slot.follow(position) for slot in self._crew.slots))


class Asked:
    """Answers what workers ask."""

    def __init__(self, everywhere: Everywhere, counted: Counted) -> None:
        self._everywhere, self._counted = everywhere, counted

    async def answer(self, slot: Slot, ask: Ask) -> None:
        """Do it, and say so to who asked."""
        match ask:
            case AskSums(number, keys):
                meter, counters = self._counted.meter, self._counted.counters
                sums = [Sum.of(meter.total(*key), counters.answered(*key)) for key in keys]
                slot.tell(Sums(number, tuple(sums)))
            case AskLoad(number, ref):
                try:
                    await self._everywhere.get(ref)
                except ModelogError as error:
                    slot.tell(done(number, error))
                else:
                    slot.tell(done(number))
            case AskDrop(number, refs):
                await self._everywhere.drop(refs)
                slot.tell(done(number))
