"""A model that answers from a process of its own, which is replaced when it dies, hangs or grows too large."""

from __future__ import annotations

import tempfile
import time
import weakref
from collections import deque
from collections.abc import Callable
from itertools import count
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


class Home:
    """A process with one model, and with the states that it came to when it learned, where it did.

    All but `alive` and `pid` is used with `turn` held: a process answers one request at a time.
    """

    def __init__(self, file: IO[bytes], load: Load, limits: Limits) -> None:
        """Raises NotAllowed when the model cannot be loaded."""
        self.turn = Lock()
        # The states that may be asked for, by number; 0 is the file's own.
        self.alive: dict[int, bytes] = {}
        self._numbers = count(1)
        self._file, self._load, self._limits = file, load, limits
        self._deaths: deque[float] = deque(maxlen=20)
        self._worker: Worker | None = Worker(file, load, limits)

    @property
    def pid(self) -> int | None:
        """Of the process that answers now, if there is one."""
        return self._worker.pid if self._worker else None

    def room_for(self, content: bytes) -> int:
        """The number of one more state, which is loaded when it is asked for first."""
        number = next(self._numbers)
        self.alive[number] = content
        return number

    def load_state(self, number: int, told: Told) -> None:
        """Have a state in the process's memory; raises NotAllowed, ModelDied or Unavailable when it cannot be."""
        worker = self.running(told)
        for gone in worker.states - self.alive.keys():
            worker.forget(gone)
        if number and number not in worker.states:
            worker.load_state(number, self.alive[number])

    def predict(self, number: int, rows: Matrix, told: Told) -> Matrix:
        """What a state answers; raises ModelDied when the process had to be replaced, Unavailable until it is."""
        try:
            self.load_state(number, told)
            worker = self.running(told)
            answers = worker.predict(rows, number)
        except ModelDied as error:
            # One that did not even start was told of already.
            if self._worker is not None:
                self.lost(error.cause, str(error), told)
            raise
        if worker.outgrown:
            size = worker.memory_bytes >> 20
            worker.end()
            self.lost(OUTGREW, f"the model's process had grown to {size} MiB, and was replaced", told)
        return answers

    def running(self, told: Told) -> Worker:
        """The process, started again if need be."""
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
                self.lost(error.cause, str(error), told)
                raise
        return self._worker

    def lost(self, cause: str, text: str, told: Told) -> None:
        """The process is of no use any more."""
        self._worker = None
        self._deaths.append(time.monotonic())
        told(cause, text)
        if self._pause_s() <= 0:
            Thread(target=self._replace, args=(told,), name="replaces a model's process", daemon=True).start()

    def _replace(self, told: Told) -> None:
        """So that the next request need not wait for it; whoever asks meanwhile does."""
        with self.turn:
            try:
                self.running(told)
            except ModelogError as error:
                log.error("a model's process could not be replaced", why=str(error))

    def _lately(self) -> list[float]:
        now = time.monotonic()
        return [death for death in self._deaths if now - death < MINUTE_S]

    def _pause_s(self) -> float:
        now = time.monotonic()
        pause = pause_s(self._deaths, now)
        return self._deaths[-1] + pause - now if pause else 0.0


class Isolated(Away):
    """A model, or a state that it came to, in a process of its own. `batcher` is its own, so that a model that hangs
    makes none but its own requests wait."""

    def __init__(self, home: Home, state: int = 0) -> None:
        self.batcher = Batcher(1)
        self._home, self._state = home, state
        self._told: Told = _logged
        self._end = weakref.finalize(self, home.alive.pop, state, None)

    def tell(self, told: Told) -> None:
        self._told = told

    @property
    def pid(self) -> int | None:
        """Of the process that answers now, if there is one."""
        return self._home.pid

    def predict(self, rows: Matrix) -> Matrix:
        """As every model does; raises ModelDied when the process had to be replaced, Unavailable until it is."""
        with self._home.turn:
            return self._home.predict(self._state, rows, self._told)

    def beside(self, content: bytes) -> Isolated:
        """What the model came to, in the same process: both answer until one of them is let go of. A process of its
        own would have to import its framework again. Raises NotAllowed when the state cannot be loaded.
        """
        made = Isolated(self._home, self._home.room_for(content))
        with self._home.turn:
            self._home.load_state(made._state, self._told)
        return made


class IsolatingRuntime:
    """Loads models of a flavor in processes of their own."""

    def __init__(self, flavor: str, threads: int, limits: Limits) -> None:
        self._flavor, self._threads, self._limits = flavor, threads, limits

    def load(self, content: bytes, signature: Signature, approved: bool) -> Isolated:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it is needed as long as the model is
        file.write(content)
        file.flush()
        load = Load(
            self._flavor,
            signature,
            approved,
            self._threads,
            self._limits.memory_bytes,
            self._limits.predict_s,
            self._limits.device,
        )
        return Isolated(Home(file, load, self._limits))


def _logged(cause: str, text: str) -> None:
    log.error("a model failed", cause=cause, why=text)
