"""What stores of curves share when they write: batches that arrive during a write share the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from modelog_common.stores.curves import Batch, Block


@dataclass(slots=True)
class Waiting:
    """A batch that is to be written, and who waits for it."""

    run: str
    tenant: str
    author: str
    request: str
    block: Block
    answer: asyncio.Future[Batch | None]


class SharedWrites:
    """Hands what waits to `write`, which answers each batch; `count_of` says how many of them go into one write."""

    def __init__(
        self,
        write: Callable[[Sequence[Waiting]], Awaitable[Sequence[Batch | None]]],
        count_of: Callable[[Sequence[Waiting]], int],
    ) -> None:
        self._write, self._count_of = write, count_of
        self._waiting: list[Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    def append(self, run: str, tenant: str, author: str, request: str, block: Block) -> asyncio.Future[Batch | None]:
        answer: asyncio.Future[Batch | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(run, tenant, author, request, block, answer))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return answer

    async def settled(self) -> None:
        """Wait until nobody waits."""
        if self._writing is not None:
            await self._writing

    async def _write_all(self) -> None:
        while self._waiting:
            count = self._count_of(self._waiting)
            group, self._waiting = self._waiting[:count], self._waiting[count:]
            try:
                batches = await self._write(group)
            except Exception as error:
                for item in group:
                    if not item.answer.done():
                        item.answer.set_exception(error)
                continue
            for item, batch in zip(group, batches, strict=True):
                if not item.answer.done():
                    item.answer.set_result(batch)
        self._writing = None


class Seals:
    """What is sealed and not written down yet: it rides with the next append, and that it is lost costs work only."""

    def __init__(self) -> None:
        self._lasts: dict[str, int] = {}

    def note(self, run: str, last: int) -> None:
        self._lasts[run] = max(last, self._lasts.get(run, 0))

    def take(self) -> dict[str, int]:
        """The last batch that is sealed of each run; they are forgotten here."""
        taken, self._lasts = self._lasts, {}
        return taken

    def forget(self, run: str) -> None:
        self._lasts.pop(run, None)
