"""kill -9 of each service and of the broker while commands and a stream go on: nothing acknowledged is lost or doubled,
and the platform is whole again."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import modelog
import numpy as np
import pytest
from modelog.stream import StreamProducer
from running_platform import SERVICES, RunningPlatform, until
from toy_model import FEATURES, deployed, toy_rows

NAME = "hurt"
BATCH_ROWS = 50
FIRST_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
MINUTE_US = 60_000_000


@dataclass
class Work:
    """Commands and a stream that go on while processes are killed, and what was acknowledged of them."""

    alice: modelog.Client
    runs: list[str] = field(default_factory=list)
    batches: int = 0
    errors: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._command, self._stream)]
        for thread in threads:
            thread.start()
        return threads

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:
            self.errors.append(error)

    def _command(self) -> None:
        while not self.stop.is_set():
            run = until("a run is started", lambda: self.alice.runs.start(NAME, f"run-{len(self.runs)}"))
            self.runs.append(run.id)

    def _stream(self) -> None:
        rows = toy_rows(rows=BATCH_ROWS)
        matrix, labels = rows.select(FEATURES).to_numpy(), rows["label"].to_numpy()
        with StreamProducer(self.alice, NAME) as stream:
            while not self.stop.is_set():
                n = self.batches
                ids = [f"{NAME}-{n}-{row}" for row in range(BATCH_ROWS)]
                times = np.full(BATCH_ROWS, FIRST_US + n * MINUTE_US)
                stream.send_requests(ids, times, matrix, FEATURES, watermark_us=FIRST_US + n * MINUTE_US)
                stream.send_outcomes(ids, labels, times + 1, watermark_us=FIRST_US + n * MINUTE_US)
                self.batches += 1


def processes(platform: RunningPlatform) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((platform.data_dir / "run" / "state.json").read_text())["processes"]
    return found


def kill(platform: RunningPlatform, name: str) -> None:
    """kill -9, and wait until the supervisor has it healthy again."""
    before = processes(platform)[name]
    os.kill(before["pid"], signal.SIGKILL)

    def healthy_again() -> bool:
        now = processes(platform)[name]
        return bool(now["pid"] != before["pid"] and now["state"] == "healthy")

    until(f"{name} is healthy again", healthy_again, 90.0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_of_each_process_loses_nothing_and_doubles_nothing(wounded: RunningPlatform, tmp_path: Path) -> None:
    alice = wounded.person("alice", "developer", "reviewer")
    bob = wounded.person("bob", "reviewer")
    data, _ = deployed(alice, bob, NAME, tmp_path)
    alice.runs.experiment(NAME)
    alice.monitors.create(NAME, NAME, [data.ref], label_column="label", window="month")
    work = Work(alice)
    threads = work.start()
    for name in (*SERVICES, "broker"):
        seen = (len(work.runs), work.batches)
        kill(wounded, name)
        until(
            f"commands and stream go on after {name} was killed",
            lambda seen=seen: work.errors or (len(work.runs) > seen[0] and work.batches > seen[1]),
            120.0,
        )
        assert not work.errors, f"after {name} was killed: {work.errors}"
    work.stop.set()
    for thread in threads:
        thread.join(180)
    assert not work.errors

    wounded.until_projected()
    started = [run for run in _all_runs(alice) if run.experiment == NAME]
    names = sorted(run.name for run in started)
    assert len(names) == len(set(names)), "no run was started twice"
    assert set(work.runs) <= {run.id for run in started}, "every acknowledged run is there"
    assert len(started) <= len(work.runs) + 1

    expected = work.batches * BATCH_ROWS
    until(
        f"monitoring has {expected} predictions and outcomes",
        lambda: (monitor := alice.monitors.get(NAME)).predictions >= expected and monitor.outcomes >= expected,
        120.0,
    )
    monitor = alice.monitors.get(NAME)
    assert (monitor.predictions, monitor.outcomes) == (expected, expected)
    for n in (0, work.batches // 2, work.batches - 1):
        assert alice.deployments.prediction(NAME, f"{NAME}-{n}-{BATCH_ROWS - 1}").version == "1.0.0"
    assert alice.audit.verify().intact
    state = processes(wounded)
    assert all(state[name]["restarts"] == 1 for name in (*SERVICES, "broker"))


def _all_runs(client: modelog.Client) -> list[Any]:
    return client.runs.list(limit=1000)
