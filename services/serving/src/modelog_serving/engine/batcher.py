"""Answers requests in batches: those that wait for the same model share one call, and no model waits for another's.

A batch is what gathered while the one before it was computed: one request when there is little to do, up to
ROWS_PER_CALL rows when there is much. Nobody waits for a batch to fill.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from modelog_common.domain.errors import Overloaded

from modelog_serving.engine.runtime import Matrix, Model, Quick
from modelog_serving.engine.work import One, Outcome, Work, outcomes, whole

ROWS_PER_CALL = 8192
MOST_WAITING = 20_000
MOST_BYTES = 256 << 20
# Who would wait longer than this is refused at once: else the queue grows, and so does everybody's wait.
LONGEST_WAIT_S = 1.0
# How long the event loop may compute before it looks at its sockets again.
LOOP_MS: Final = 2
# How much the last batch counts in what a row is expected to take, and of how many models that is kept.
NEWEST: Final = 0.2
PACES: Final = 1000


@dataclass
class _Queue:
    """What waits for one model."""

    works: deque[Work] = field(default_factory=deque)
    rows: int = 0


@dataclass(frozen=True)
class _Running:
    """A batch in a thread."""

    rows: int
    since_s: float


class Batcher:
    """One batch of a model at a time, in a thread or, where it is known to be short, on the event loop.

    Models take turns of one batch each; `workers` threads compute. Streams go beside them. `at_once` batches of a model
    are computed side by side, where it has more than one place to compute them; with `far` they are away, so that a
    batch takes a while however few rows it has.
    """

    def __init__(self, workers: int = 2, longest_wait_s: float = LONGEST_WAIT_S, *, far: bool = False) -> None:
        self.at_once, self._far = 1, far
        # The shortest batch of a model that was seen: what the way alone takes.
        self._way_s: dict[int, float] = {}
        # One more: a stream's batch makes no request wait.
        self._pool = ThreadPoolExecutor(workers + 1, "inference")
        self._workers, self._longest_wait_s = workers, longest_wait_s
        # Of models that have something waiting, in the order in which they come to their turn.
        self._waiting: dict[int, _Queue] = {}
        self._running: dict[int, list[_Running]] = {}
        self._under_way = 0
        self._row_s: dict[int, float] = {}
        self._requests = self._bytes = 0
        self._next: asyncio.Handle | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def predict(self, model: Model, rows: Matrix) -> Matrix:
        """Answer (rows, features) with (rows, outputs), together with whatever else waits for this model.

        Raises Overloaded when the answer would take too long, and what the model raises. Rows of a caller who was
        cancelled are left out, if they are not being computed already.
        """
        work = One(model, rows, asyncio.get_running_loop().create_future())
        self.submit(work)
        return await work.answer

    async def predict_alone(self, model: Model, rows: Matrix) -> Matrix:
        """Answer a large batch in a thread of its own turn, without making requests wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, whole, model, rows, ROWS_PER_CALL)

    def submit(self, work: Work) -> None:
        """Take work in, for the next turn; raises Overloaded, which says when to come again."""
        self.take(work)
        self._soon()

    def take(self, work: Work) -> None:
        """As `submit`, for who calls `turn` afterwards."""
        key = id(work.model)
        self._refuse(key, work)
        queue = self._waiting.get(key)
        if queue is None:
            queue = self._waiting[key] = _Queue()
        queue.works.append(work)
        queue.rows += work.rows
        self._requests += work.requests
        self._bytes += work.size_bytes
        self._quiet.clear()

    def _refuse(self, key: int, work: Work) -> None:
        if self._requests >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} requests wait for an answer already; try again later")
        if self._bytes and self._bytes + work.size_bytes > MOST_BYTES:
            raise Overloaded(f"requests of {self._bytes} bytes wait for an answer already; try again later")
        wait_s = self._wait_s(key)
        if wait_s > self._longest_wait_s:
            raise Overloaded(
                f"an answer would take {wait_s:.1f} s; requests that would wait longer than {self._longest_wait_s:g} s "
                "are refused: try again later",
                retry_after_s=wait_s,
            )

    def _wait_s(self, key: int) -> float:
        """How long who comes now would wait: for the batch that runs, which may be late already, and those before."""
        row_s, running, queue = self._row_s.get(key, 0.0), self._running.get(key), self._waiting.get(key)
        wait_s = 0.0
        if running is not None and self._full(key):
            now_s = time.perf_counter()
            wait_s += min(max(one.rows * row_s, now_s - one.since_s) for one in running)
        if queue is not None:
            # The threads are shared with the other models that have something to do.
            ahead_s = queue.rows * row_s + -(-queue.rows // ROWS_PER_CALL) * self._way_s.get(key, 0.0)
            wait_s += ahead_s / self.at_once * max(1.0, len(self._waiting) / self._workers)
        return wait_s

    def turn(self) -> None:
        """Compute what is short and begin what is long: one batch of each model that has something to do."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        end_s = time.perf_counter() + LOOP_MS / 1000
        for key in list(self._waiting):
            if not self._full(key):
                self._serve(key, self._waiting[key])
            if time.perf_counter() > end_s:
                break
        if any(not self._full(key) and self._has_room(queue) for key, queue in self._waiting.items()):
            self._soon()
        elif not self._waiting and not self._running:
            self._quiet.set()

    def _soon(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self.turn)

    def _full(self, key: int) -> bool:
        """Whether as many batches of a model are computed as may be."""
        return len(self._running.get(key, ())) >= self.at_once

    def _has_room(self, queue: _Queue) -> bool:
        return self._under_way < self._workers or queue.works[0].rows <= _short(queue.works[0].model)

    def _serve(self, key: int, queue: _Queue) -> None:
        model = queue.works[0].model
        short, free = _short(model), self._under_way < self._workers
        on_loop = queue.rows <= short or (not free and queue.works[0].rows <= short)
        if not on_loop and not free:
            return
        batch = self._cut(queue, short if on_loop else ROWS_PER_CALL)
        del self._waiting[key]
        if queue.works:
            # It comes last in the next turn.
            self._waiting[key] = queue
        if not batch:
            return
        matrices = [matrix for _, matrix in batch]
        rows = sum(map(len, matrices))
        began_s = time.perf_counter()
        if on_loop:
            found = outcomes(model, matrices, ROWS_PER_CALL)
            self._learn(key, rows, began_s)
            _tell(batch, found)
            return
        running = _Running(rows, began_s)
        self._running.setdefault(key, []).append(running)
        self._under_way += 1
        computed = asyncio.get_running_loop().run_in_executor(self._pool, outcomes, model, matrices, ROWS_PER_CALL)
        computed.add_done_callback(partial(self._done, key, running, batch))

    def _cut(self, queue: _Queue, most_rows: int) -> list[tuple[Work, Matrix]]:
        """The first of what waits, up to so many rows but at least one; those are left out whom nobody waits for."""
        batch: list[tuple[Work, Matrix]] = []
        rows = 0
        while queue.works and (not batch or rows + queue.works[0].rows <= most_rows):
            work = queue.works.popleft()
            queue.rows -= work.rows
            self._requests -= work.requests
            self._bytes -= work.size_bytes
            matrix = work.take()
            if matrix is not None:
                batch.append((work, matrix))
                rows += len(matrix)
        return batch

    def _done(
        self,
        key: int,
        running: _Running,
        batch: Sequence[tuple[Work, Matrix]],
        computed: asyncio.Future[list[Outcome]],
    ) -> None:
        self._under_way -= 1
        # Two that began in the same moment with as many rows are alike.
        self._running[key].remove(running)
        if not self._running[key]:
            del self._running[key]
        self._learn(key, running.rows, running.since_s)
        error = computed.exception()
        if error is None:
            _tell(batch, computed.result())
        else:
            _tell(batch, [RuntimeError(f"the batch was lost: {error}")] * len(batch))
        self.turn()

    def _learn(self, key: int, rows: int, began_s: float) -> None:
        took_s = time.perf_counter() - began_s
        if self._far:
            way_s = self._way_s[key] = min(self._way_s.get(key, took_s), took_s)
            took_s -= way_s
        each_s = took_s / rows
        before_s = self._row_s.get(key, each_s)
        if len(self._row_s) >= PACES:
            self._row_s.clear()
        self._row_s[key] = before_s + (each_s - before_s) * NEWEST

    async def close(self) -> None:
        """Answer what waits, then end the threads."""
        await self._quiet.wait()
        self._pool.shutdown(wait=True)


def batcher_of(model: Model, shared: Batcher) -> Batcher:
    """Which one a model's requests wait in: its own, where it has one."""
    own: Batcher | None = getattr(model, "batcher", None)
    return own or shared


def _short(model: Model) -> int:
    """So many rows of a model may be computed on the event loop."""
    return model.rows_per_ms * LOOP_MS if isinstance(model, Quick) else 0


def _tell(batch: Sequence[tuple[Work, Matrix]], found: Sequence[Outcome]) -> None:
    for (work, _), outcome in zip(batch, found, strict=True):
        if isinstance(outcome, Exception):
            work.failed(outcome)
        else:
            work.answered(outcome)
