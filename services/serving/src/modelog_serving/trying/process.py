"""Starts the process of a trial, listens to it, and ends it."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import msgspec

from modelog_serving.engine.failed import DIED, HUNG
from modelog_serving.engine.runtime import Matrix
from modelog_serving.trial.events import REFUSED, Found
from modelog_serving.trying.task import Done, Said, Step, Task
from modelog_serving.worker import wire
from modelog_serving.worker.process import environment, how_ended

COMMAND = (sys.executable, "-m", "modelog_serving.trying")
# Until a process has begun to speak: on a busy machine importing takes its time.
START_S = 300.0
_SAID = msgspec.msgpack.Decoder(Said)


class TrialProcess:
    """One trial. `found` waits for it, and may be called from a thread; `end` makes it return at once."""

    def __init__(self, task: Task, rows: Matrix | None, command: Sequence[str] = COMMAND) -> None:
        self._task, self._rows = task, rows
        self._link, theirs = socket.socketpair()
        # What it unpacks there goes with it.
        self._folder = tempfile.TemporaryDirectory(prefix="modelog-trial-")
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env=environment(task.threads) | {"TMPDIR": self._folder.name},
                stdin=subprocess.DEVNULL,
                stdout=2,
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def found(self, say: Callable[[str], None]) -> Found:
        """What came of it; `say` is told what it is about to do."""
        step = Step("it is started", START_S)
        try:
            wire.send(self._link, self._task, self._rows)
            while True:
                say(step.what)
                head, _ = wire.receive(self._link, time.monotonic() + step.limit_s)
                said = _SAID.decode(head)
                if isinstance(said, Done):
                    return said.found
                step = said
        except TimeoutError:
            return Found(REFUSED, f"it took more than {step.limit_s:g} s when {step.what}, and was ended", HUNG)
        except (EOFError, OSError):
            return Found(REFUSED, f"its process {how_ended(self._process)} when {step.what}", DIED)

    def end(self) -> None:
        """Kill it, if it is still there."""
        self._process.kill()
        self._process.wait()
        self._link.close()
        self._folder.cleanup()
