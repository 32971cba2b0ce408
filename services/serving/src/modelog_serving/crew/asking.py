"""What a worker asks of the process that decides, for it alone knows the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from modelog_common.domain.errors import Unavailable

from modelog_serving.crew.frames import AskDrop, AskLoad, AskSums, Done, FromWorker, Sums
from modelog_serving.engine.models import ModelRef
from modelog_serving.oip.processes import Key
from modelog_serving.routing.meter import Total

# The others may have a model of gigabytes to read.
ASK_S = 300.0


class Asking:
    """`say` sends, `report` tells what this worker counted; `hear` takes the answers, `gone` says that none come."""

    def __init__(self, say: Callable[[FromWorker], None], report: Callable[[], Awaitable[None]]) -> None:
        self._say, self._report = say, report
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Done | Sums]] = {}

    async def load(self, ref: ModelRef) -> None:
        """Have a model in memory in all processes; raises as `Models.get` does when one of them cannot."""
        await self._ask(lambda number: AskLoad(number, ref))

    async def drop(self, refs: Sequence[ModelRef]) -> None:
        """Have all of them let go of models that no traffic needs."""
        await self._ask(lambda number: AskDrop(number, tuple(refs)))

    async def sums(self, keys: Sequence[Key]) -> list[tuple[Total, int]]:
        """What all of them answered, as far as it was reported; of this worker, everything."""
        await self._report()
        told = await self._ask(lambda number: AskSums(number, tuple(keys)))
        if not isinstance(told, Sums):
            raise Unavailable("the process that decides did not say what was counted")
        return [(one.total(), one.rows) for one in told.sums]

    async def _ask(self, made: Callable[[int], FromWorker]) -> Done | Sums:
        number = next(self._numbers)
        asked: asyncio.Future[Done | Sums] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        try:
            self._say(made(number))
            async with asyncio.timeout(ASK_S):
                told = await asked
        except TimeoutError:
            raise Unavailable(f"the other processes of serving did not do it in {ASK_S:g} s") from None
        finally:
            self._asked.pop(number, None)
        error = told.raised() if isinstance(told, Done) else None
        if error is not None:
            raise error
        return told

    def hear(self, told: Done | Sums) -> None:
        """An answer."""
        asked = self._asked.get(told.number)
        if asked is not None and not asked.done():
            asked.set_result(told)

    def gone(self) -> None:
        """No more answers come."""
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(Unavailable("the process that decides is gone"))
