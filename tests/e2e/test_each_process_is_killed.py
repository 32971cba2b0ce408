"""kill -9 of each process of one running platform, in the middle of its work: nothing acknowledged is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_platform import SERVICES, RunningPlatform
from survivor import Survivor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@dataclass
class Survived:
    """A platform whose every process was killed once, the job that ran meanwhile, and how often each was restarted."""

    survivor: Survivor
    job_id: str
    restarts: dict[str, int]


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survived]:
    own = RunningPlatform(tmp_path_factory.mktemp("killed"))
    own.up()
    try:
        yield survive(own, tmp_path_factory.mktemp("work"))
    finally:
        own.down()


def survive(own: RunningPlatform, folder: Path) -> Survived:
    """Give a running platform work, and kill its every process once."""
    one = Survivor(own, folder)
    job_id = one.submit()
    restarts = kill_each(one)
    own.until_projected()
    return Survived(one, job_id, restarts)


def kill_each(one: Survivor) -> dict[str, int]:
    """Kill one process after the other, training first, while its job runs; returns how often each was restarted."""
    with one.work.going_on():
        for name in ("training", *one.own.parts, *(s for s in SERVICES if s != "training")):
            one.until_work_goes_on(f"before {name} is killed")
            restarts = one.own.kill(name)
            one.let_the_job_end()
            one.own.until_back(name, restarts)
        one.until_work_goes_on("after all of them were killed")
    return {name: one.own.process(name)["restarts"] for name in (*one.own.parts, *SERVICES)}


def test_every_process_was_killed_and_came_back(survived: Survived) -> None:
    assert all(n >= 1 for n in survived.restarts.values()), survived.restarts


def test_every_acknowledged_command_happened_once(survived: Survived) -> None:
    survived.survivor.check_commands()


def test_every_streamed_row_is_in_a_window_once(survived: Survived) -> None:
    survived.survivor.check_windows()


def test_every_acknowledged_prediction_is_in_the_log(survived: Survived) -> None:
    survived.survivor.check_predictions()


def test_the_job_registered_one_version(survived: Survived) -> None:
    survived.survivor.check_job(survived.job_id)


def test_the_log_is_intact(survived: Survived) -> None:
    survived.survivor.check_log()
