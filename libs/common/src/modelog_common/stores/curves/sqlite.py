"""Curves in one SQLite file: the embedded default. Batches that arrive during a commit share the next one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from modelog_common.domain.errors import Unavailable
from modelog_common.events.worker import Worker
from modelog_common.small_sqlite import open_file
from modelog_common.stores.curves import Batch, Block, Curve
from modelog_common.stores.curves.shapes import Part
from modelog_common.stores.curves.sqlite_blocks import Blocks, prepare
from modelog_common.stores.curves.thinning import PIECE, Span, Thinned, Thinner

T = TypeVar("T")
MAX_BATCHES = 500


@dataclass(slots=True)
class _Waiting:
    run: str
    tenant: str
    author: str
    request: str
    block: Block
    answer: asyncio.Future[Batch | None]


class SqliteCurveStore:
    """A CurveStore in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker = Worker("curves")
        self._blocks: Blocks | None = None
        self._waiting: list[_Waiting] = []
        # What is sealed and not written down yet: it rides with the next append, and that it is lost costs work only.
        self._sealed: dict[str, int] = {}
        self._committing: asyncio.Task[None] | None = None

    def append(self, run: str, tenant: str, author: str, request: str, block: Block) -> asyncio.Future[Batch | None]:
        answer: asyncio.Future[Batch | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(run, tenant, author, request, block, answer))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return answer

    async def _commit_all(self) -> None:
        """Commit until nobody waits."""
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_BATCHES], self._waiting[MAX_BATCHES:]
            sealed = self._take_sealed()
            try:
                batches = await self._run(partial(_insert, group=group, sealed=sealed))
            except Exception as error:
                for item in group:
                    if not item.answer.done():
                        item.answer.set_exception(error)
                continue
            for item, batch in zip(group, batches, strict=True):
                if not item.answer.done():
                    item.answer.set_result(batch)
        self._committing = None

    async def unsealed(self) -> list[Batch]:
        await self._write_sealed()
        return await self._run(lambda blocks: blocks.unsealed())

    async def seal(self, run: str, last: int) -> None:
        self._sealed[run] = max(last, self._sealed.get(run, 0))

    async def unseal(self, run: str, after: int) -> None:
        await self._write_sealed()
        await self._run(lambda blocks: blocks.unseal(run, after))

    async def _write_sealed(self) -> None:
        sealed = self._take_sealed()
        if sealed:
            await self._run(partial(_insert, group=(), sealed=sealed))

    def _take_sealed(self) -> dict[str, int]:
        sealed, self._sealed = self._sealed, {}
        return sealed

    async def runs(self) -> list[tuple[str, int]]:
        return await self._run(lambda blocks: blocks.runs())

    async def batches(self, run: str, first: int, last: int) -> list[Batch]:
        return await self._run(lambda blocks: blocks.between(run, first, last))

    async def history(self, run: str, metric: str, last: int, offset: int, limit: int) -> Curve:
        return await self._run(lambda blocks: blocks.history(run, metric, last, offset, limit))

    async def thinned(self, run: str, metric: str, last: int, size: int, span: Span | None) -> Thinned:
        """Read in pieces: what is appended meanwhile does not wait for all of a long curve."""
        pieces = await self._run(lambda blocks: blocks.pieces(run, metric, last, span, PIECE))
        thinner = Thinner(metric, size, sum(part.points for piece in pieces for part in piece), span)
        for piece in pieces:
            await self._run(partial(_take, thinner=thinner, run=run, metric=metric, piece=piece))
        return await self._run(lambda _: thinner.result())

    async def drop(self, run: str) -> None:
        await self._run(lambda blocks: blocks.drop(run))

    async def close(self) -> None:
        if self._committing is not None:
            await self._committing
        with suppress(Unavailable):
            await self._write_sealed()
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._worker.stop()
        if self._blocks is not None:
            self._blocks.close()
            self._blocks = None

    async def _run(self, work: Callable[[Blocks], T]) -> T:
        try:
            return await self._worker.run(lambda: work(self._opened()))
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the store of curves {self._path} cannot be used: {error}") from error

    def _opened(self) -> Blocks:
        if self._blocks is None:
            self._blocks = Blocks(open_file(self._path, prepare))
        return self._blocks


def _take(blocks: Blocks, thinner: Thinner, run: str, metric: str, piece: Sequence[Part]) -> None:
    thinner.take(blocks.read(run, metric, piece))


def _insert(blocks: Blocks, group: Sequence[_Waiting], sealed: Mapping[str, int]) -> list[Batch | None]:
    """All of them in one commit."""
    with blocks.committed():
        blocks.seal(sealed)
        return [blocks.add(item.run, item.tenant, item.author, item.request, item.block) for item in group]
