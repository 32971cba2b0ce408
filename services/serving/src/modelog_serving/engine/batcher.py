"""Runs predictions in a thread pool; requests that wait for the same model are answered by one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from modelog_common.domain.errors import Invalid, Unavailable

from modelog_serving.engine.failed import HUNG, ModelFailed
from modelog_serving.engine.runtime import Matrix, Model

ROWS_PER_CALL = 8192
MOST_WAITING = 20_000


@dataclass(frozen=True)
class _Waiting:
    model: Model
    rows: Matrix
    answer: asyncio.Future[Matrix]


class Batcher:
    """One call at a time for requests, cut from what waits when the last call ends; streams go beside it."""

    def __init__(self, workers: int = 2) -> None:
        self._pool = ThreadPoolExecutor(workers, "inference")
        self._waiting: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None

    async def predict(self, model: Model, rows: Matrix) -> Matrix:
        """Answer (rows, features) with (rows, outputs), together with whatever else waits for this model.

        Raises Unavailable when too many requests wait already.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} requests wait for an answer already; try again later")
        answer: asyncio.Future[Matrix] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(model, rows, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="batches of requests")
        return await answer

    async def predict_alone(self, model: Model, rows: Matrix) -> Matrix:
        """Answer a large batch in a thread of its own turn, without making requests wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, model.predict, rows)

    async def _run(self) -> None:
        try:
            while self._waiting:
                cut, self._waiting = self._waiting, []
                for together in _groups(cut):
                    await self._answer(together)
        finally:
            self._running = None

    async def _answer(self, together: Sequence[_Waiting]) -> None:
        rows = together[0].rows if len(together) == 1 else np.concatenate([w.rows for w in together])
        try:
            answers = await self.predict_alone(together[0].model, rows)
        except Exception as error:
            if len(together) > 1 and _of_one(error):
                # The others have nothing to do with it.
                for waiting in together:
                    await self._answer([waiting])
                return
            for waiting in together:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        start = 0
        for waiting in together:
            end = start + len(waiting.rows)
            if not waiting.answer.done():
                waiting.answer.set_result(answers[start:end])
            start = end

    async def close(self) -> None:
        """Answer what waits, then end the threads."""
        if self._running is not None:
            await self._running
        self._pool.shutdown(wait=True)


def batcher_of(model: Model, shared: Batcher) -> Batcher:
    """Which one a model's requests wait in: its own, where it has one."""
    own: Batcher | None = getattr(model, "batcher", None)
    return own or shared


def _of_one(error: Exception) -> bool:
    """Whether the rows of one request may be to blame alone; of those that take too long, each would take as long."""
    return isinstance(error, Invalid) or (isinstance(error, ModelFailed) and error.cause != HUNG)


def _groups(cut: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """Those of the same model together, up to ROWS_PER_CALL rows, otherwise in order of arrival."""
    groups: list[list[_Waiting]] = []
    open_groups: dict[int, tuple[list[_Waiting], int]] = {}
    for waiting in cut:
        group, rows = open_groups.get(id(waiting.model), ([], 0))
        if not group or rows + len(waiting.rows) > ROWS_PER_CALL:
            group, rows = [], 0
            groups.append(group)
        group.append(waiting)
        open_groups[id(waiting.model)] = group, rows + len(waiting.rows)
    return groups
