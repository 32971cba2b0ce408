"""The process of a trial: it says what it does, what it found out, and ends."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from threading import Thread

import msgspec

from modelog_serving.engine.failed import OUTGREW
from modelog_serving.trial.events import REFUSED, Found
from modelog_serving.trying.attempt import tried
from modelog_serving.trying.task import MOST_HELD_UP_S, Done, Step, Task
from modelog_serving.worker import wire
from modelog_serving.worker.memory import limit

# Serving kills what takes too long; where serving is gone it ends by itself, and in native code by the kernel.
LOOK_S, GRACE_S = 1.0, 10.0
# Traffic goes first.
NICE = 10


def main() -> None:
    end_with(os.getppid())
    link = socket.socket(fileno=int(sys.argv[1]))
    head, body = wire.receive(link)
    task = msgspec.msgpack.decode(head, type=Task)
    os.nice(NICE)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit(task.limits.memory_bytes)

    def say(step: Step) -> None:
        signal.setitimer(signal.ITIMER_REAL, step.limit_s + MOST_HELD_UP_S + GRACE_S)
        wire.send(link, step)

    try:
        found = tried(task, wire.matrix_of(task.rows, body) if task.example else None, say)
    except MemoryError:
        most = task.limits.memory_bytes >> 20
        found = Found(REFUSED, f"it needs more than the {most} MiB that it may use", OUTGREW)
    wire.send(link, Done(found))


def end_with(parent: int) -> None:
    """From now on end when `parent` is no longer the parent of this process."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os._exit(1)

    Thread(target=watch, name="ends with serving", daemon=True).start()


if __name__ == "__main__":
    main()
