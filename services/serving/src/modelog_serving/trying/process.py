"""Starts the process of a trial, listens to it, and ends it."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from modelog_serving.engine.failed import DIED, HUNG
from modelog_serving.engine.runtime import Matrix
from modelog_serving.trial.events import REFUSED, Found
from modelog_serving.trying.task import MOST_HELD_UP_S, Done, Said, Step, Task
from modelog_serving.worker import wire
from modelog_serving.worker.process import environment, how_ended

COMMAND = (sys.executable, "-m", "modelog_serving.trying")
# Until a process has begun to speak: on a busy machine importing takes its time.
START_S = 300.0
# A socket's time-out of 0 would mean another thing.
SHORTEST_S = 0.001
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
                said = self._said(step.limit_s)
                if isinstance(said, Done):
                    return said.found
                step = said
        except TimeoutError:
            return Found(REFUSED, f"it took more than {step.limit_s:g} s when {step.what}, and was ended", HUNG)
        except (EOFError, OSError):
            return Found(REFUSED, f"its process {how_ended(self._process)} when {step.what}", DIED)

    def _said(self, limit_s: float) -> Said:
        """What it says next. The time in which others had the processor, which trials get last, is not its own."""
        began_s, before_s = time.monotonic(), held_up_s(self.pid)
        over_s = began_s + limit_s
        while True:
            try:
                self._link.settimeout(max(over_s - time.monotonic(), SHORTEST_S))
                self._link.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                over_s = began_s + limit_s + min(held_up_s(self.pid) - before_s, MOST_HELD_UP_S)
                if over_s <= time.monotonic():
                    raise
            else:
                head, _ = wire.receive(self._link, time.monotonic() + limit_s)
                said: Said = _SAID.decode(head)
                return said

    def end(self) -> None:
        """Kill it, if it is still there."""
        self._process.kill()
        self._process.wait()
        self._link.close()
        self._folder.cleanup()


def held_up_s(pid: int) -> float:
    """The seconds in which the main thread of a process would have run, but others did; 0 where no kernel tells."""
    try:
        _, waited_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    except (OSError, ValueError):
        return 0.0
    return int(waited_ns) / 1e9
