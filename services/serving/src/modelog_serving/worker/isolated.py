"""A model that answers from a process of its own, which is replaced when it dies, hangs or grows too large."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable
from threading import Lock, Thread
from typing import IO

import structlog
from modelog_common.domain.errors import ModelogError, Unavailable

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.batcher import Batcher
from modelog_serving.engine.failed import OUTGREW, ModelDied
from modelog_serving.engine.runtime import Away, Matrix
from modelog_serving.worker.ended import MINUTE_S, pause_s
from modelog_serving.worker.limits import Limits
from modelog_serving.worker.process import Worker
from modelog_serving.worker.wire import Load

log = structlog.get_logger()
Told = Callable[[str, str], None]


class Isolated(Away):
    """`batcher` is its own, so that a model that hangs makes none but its own requests wait."""

    def __init__(self, file: IO[bytes], load: Load, limits: Limits) -> None:
        """Raises NotAllowed when the model cannot be loaded."""
        self.batcher = Batcher(1)
        self._file, self._load, self._limits = file, load, limits
        self._turn = Lock()
        self._deaths: deque[float] = deque(maxlen=20)
        self._told: Told = _logged
        self._worker: Worker | None = Worker(file, load, limits)

    def tell(self, told: Told) -> None:
        self._told = told

    @property
    def pid(self) -> int | None:
        """Of the process that answers now, if there is one."""
        return self._worker.pid if self._worker else None

    def predict(self, rows: Matrix) -> Matrix:
        """As every model does; raises ModelDied when the process had to be replaced, Unavailable until it is."""
        with self._turn:
            worker = self._running()
            try:
                answers = worker.predict(rows)
            except ModelDied as error:
                self._lost(error.cause, str(error))
                raise
            if worker.outgrown:
                size = worker.memory_bytes >> 20
                worker.end()
                self._lost(OUTGREW, f"the model's process had grown to {size} MiB, and was replaced")
            return answers

    def _running(self) -> Worker:
        if self._worker is None:
            pause = self._pause_s()
            if pause > 0:
                raise Unavailable(
                    f"the model's process had to be replaced {len(self._lately())} times within a minute; "
                    f"it is started again in {pause:.0f} s"
                )
            try:
                self._worker = Worker(self._file, self._load, self._limits)
            except ModelDied as error:
                self._lost(error.cause, str(error))
                raise
        return self._worker

    def _lost(self, cause: str, text: str) -> None:
        self._worker = None
        self._deaths.append(time.monotonic())
        self._told(cause, text)
        if self._pause_s() <= 0:
            Thread(target=self._replace, name="replaces a model's process", daemon=True).start()

    def _replace(self) -> None:
        """So that the next request need not wait for it; whoever asks meanwhile does."""
        with self._turn:
            try:
                self._running()
            except ModelogError as error:
                log.error("a model's process could not be replaced", why=str(error))

    def _lately(self) -> list[float]:
        now = time.monotonic()
        return [death for death in self._deaths if now - death < MINUTE_S]

    def _pause_s(self) -> float:
        now = time.monotonic()
        pause = pause_s(self._deaths, now)
        return self._deaths[-1] + pause - now if pause else 0.0


class IsolatingRuntime:
    """Loads models of a flavor in processes of their own."""

    def __init__(self, flavor: str, threads: int, limits: Limits) -> None:
        self._flavor, self._threads, self._limits = flavor, threads, limits

    def load(self, content: bytes, signature: Signature, approved: bool) -> Isolated:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it is needed as long as the model is
        file.write(content)
        file.flush()
        load = Load(self._flavor, signature, approved, self._threads, self._limits.memory_bytes, self._limits.predict_s)
        return Isolated(file, load, self._limits)


def _logged(cause: str, text: str) -> None:
    log.error("a model failed", cause=cause, why=text)
