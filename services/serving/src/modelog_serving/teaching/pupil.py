"""The process in which a version learns: never that which answers, and never this one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.failed import ModelDied
from modelog_serving.engine.runtime import Matrix
from modelog_serving.learning.decide import FLAVOR
from modelog_serving.learning.terms import Seen
from modelog_serving.worker.limits import Limits
from modelog_serving.worker.process import Worker
from modelog_serving.worker.wire import Load

# Sets of texts have the same order each time, so that the same lesson makes the same bytes.
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
# So many processes are kept for the next step.
KEPT = 4
Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class Pupil:
    """A version: the file that was registered, and what it takes and gives."""

    registered_digest: str
    signature: Signature


class Pupils:
    """Has versions learn, each in a process that has the registered file in memory and is given the state each time.

    `fetch` gives the file of a SHA-256.
    """

    def __init__(self, fetch: Fetch, limits: Limits) -> None:
        self._fetch, self._limits = fetch, limits
        self._workers: dict[Pupil, Worker] = {}
        self._turn = asyncio.Lock()

    async def learn(self, pupil: Pupil, digest_before: str, rows: Matrix) -> tuple[bytes, Seen]:
        """What the state `digest_before` becomes, and how it did; `rows` are (labels, features + 2) float64.

        Raises Invalid, naming the label, for one that the model cannot learn from; NotAllowed, ModelFailed or ModelDied
        when it cannot learn at all; Unavailable or NotFound when a file cannot be had.
        """
        state = b"" if digest_before == pupil.registered_digest else await self._fetch(digest_before)
        async with self._turn:
            worker = await self._worker(pupil)
            try:
                return await asyncio.to_thread(worker.learn, state, rows)
            except ModelDied:
                self._workers.pop(pupil, None)
                raise
            finally:
                if worker.outgrown:
                    self._workers.pop(pupil, None)

    async def answers(self, pupil: Pupil, content: bytes, rows: Matrix) -> Matrix:
        """What a state answers to (rows, features); raises as `learn` does."""
        return await asyncio.to_thread(self._answers, pupil, content, rows)

    def _answers(self, pupil: Pupil, content: bytes, rows: Matrix) -> Matrix:
        worker = self._started(pupil, content)
        try:
            return worker.predict(rows)
        finally:
            worker.end()

    async def _worker(self, pupil: Pupil) -> Worker:
        found = self._workers.pop(pupil, None)
        if found is None:
            content = await self._fetch(pupil.registered_digest)
            found = await asyncio.to_thread(self._started, pupil, content)
        self._workers[pupil] = found
        while len(self._workers) > KEPT:
            self._workers.pop(next(iter(self._workers))).end()
        return found

    def _started(self, pupil: Pupil, content: bytes) -> Worker:
        limits = self._limits
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            load = Load(FLAVOR, pupil.signature, True, 1, limits.memory_bytes, limits.predict_s)
            return Worker(file, load, limits, ENVIRONMENT)

    async def close(self) -> None:
        """End the processes."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()
