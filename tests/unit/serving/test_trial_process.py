"""How long the process of a trial is listened to: its own time counts, and not that of others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.failed import DIED, HUNG
from modelog_serving.trial.events import REFUSED, WORKS, TrialLimits
from modelog_serving.trying import process as module
from modelog_serving.trying.process import TrialProcess, held_up_s
from modelog_serving.trying.task import Task

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 4)),), (TensorSpec("y", "FP32", (-1,)),))
# Says that it begins a step of 0.05 s, waits for a file, and says that the version works.
LATE = f"""
import socket, sys, time
from pathlib import Path
from modelog_serving.trial.events import WORKS, Found
from modelog_serving.trying.task import Done, Step
from modelog_serving.worker import wire
gate, link = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
wire.receive(link)
wire.send(link, Step("it waits", 0.05))
while not gate.exists():
    time.sleep(0.01)
wire.send(link, Done(Found({WORKS!r})))
"""
PATIENCE_S = 150.0
Made = Callable[[str], TrialProcess]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    begun: list[TrialProcess] = []

    def make(script: str) -> TrialProcess:
        task = Task(str(tmp_path), "d" * 64, "xgboost", SIGNATURE, False, 1, TrialLimits(1.0, 1.0, 0))
        begun.append(TrialProcess(task, None, (sys.executable, "-c", script, str(tmp_path / "gate"))))
        return begun[-1]

    yield make
    for process in begun:
        process.end()


def test_one_that_is_kept_from_running_is_waited_for(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def others_run(_pid: int) -> float:
        looks.append(1)
        if len(looks) == 6:
            (tmp_path / "gate").touch()
        return time.monotonic() + len(looks) * 0.05

    monkeypatch.setattr(module, "held_up_s", others_run)
    assert made(LATE).found(lambda _: None).state == WORKS
    assert len(looks) >= 6


def test_one_that_could_have_run_is_ended(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "held_up_s", lambda _: 0.0)
    found = made(LATE).found(lambda _: None)
    assert (found.state, found.cause) == (REFUSED, HUNG)
    assert found.reason == "it took more than 0.05 s when it waits, and was ended"


def test_one_that_is_always_kept_from_running_is_ended_at_last(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "held_up_s", lambda _: time.monotonic() * 1000)
    monkeypatch.setattr(module, "MOST_HELD_UP_S", 0.1)
    assert made(LATE).found(lambda _: None).cause == HUNG


def test_one_that_dies_is_told_so(made: Made) -> None:
    found = made("import os; os._exit(7)").found(lambda _: None)
    assert (found.state, found.cause) == (REFUSED, DIED)
    assert "ended with status 7 when it is started" in found.reason


def test_what_others_take_is_told_by_the_kernel() -> None:
    """Two that are always busy, on one processor."""
    one = min(os.sched_getaffinity(0))
    busy = f"import os\nos.sched_setaffinity(0, {{{one}}})\nwhile True: pass"
    both = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(2)]
    try:
        over = time.monotonic() + PATIENCE_S
        while min(held_up_s(each.pid) for each in both) < 0.2:
            assert time.monotonic() < over, f"no process was held up in {PATIENCE_S:g} s"
            time.sleep(0.01)
    finally:
        for each in both:
            each.kill()
            each.wait()
    assert held_up_s(both[0].pid) == 0.0


def test_it_ends_when_serving_is_killed() -> None:
    hangs = "import os, threading; from modelog_serving.trying.__main__ import end_with; end_with(os.getppid()); "
    hangs += "print(os.getpid(), flush=True); threading.Event().wait()"
    serves = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hangs!r}])"
    serving = subprocess.Popen([sys.executable, "-c", serves], stdout=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    trial = Path(f"/proc/{int(serving.stdout.readline())}")
    assert trial.exists()
    serving.kill()
    # It holds the other end of what it prints to.
    assert serving.stdout.read() == ""
    serving.wait()
