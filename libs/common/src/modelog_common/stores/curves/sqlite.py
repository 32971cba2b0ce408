"""Curves in one SQLite file: the embedded default. Batches that arrive during a commit share the next one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
from modelog_common.stores.curves.writing import Seals, SharedWrites, Waiting

T = TypeVar("T")
MAX_BATCHES = 500


class SqliteCurveStore:
    """A CurveStore in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker = Worker("curves")
        self._blocks: Blocks | None = None
        self._writes = SharedWrites(self._write, lambda waiting: MAX_BATCHES)
        self._seals = Seals()

    def append(self, run: str, tenant: str, author: str, request: str, block: Block) -> asyncio.Future[Batch | None]:
        return self._writes.append(run, tenant, author, request, block)

    async def _write(self, group: Sequence[Waiting]) -> list[Batch | None]:
        return await self._run(partial(_insert, group=group, sealed=self._seals.take()))

    async def unsealed(self) -> list[Batch]:
        await self._write_sealed()
        return await self._run(lambda blocks: blocks.unsealed())

    async def seal(self, run: str, last: int) -> None:
        self._seals.note(run, last)

    async def unseal(self, run: str, after: int) -> None:
        await self._write_sealed()
        await self._run(lambda blocks: blocks.unseal(run, after))

    async def _write_sealed(self) -> None:
        sealed = self._seals.take()
        if sealed:
            await self._run(partial(_insert, group=(), sealed=sealed))

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
        await self._writes.settled()
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


def _insert(blocks: Blocks, group: Sequence[Waiting], sealed: Mapping[str, int]) -> list[Batch | None]:
    """All of them in one commit."""
    with blocks.committed():
        blocks.seal(sealed)
        return [blocks.add(item.run, item.tenant, item.author, item.request, item.block) for item in group]
