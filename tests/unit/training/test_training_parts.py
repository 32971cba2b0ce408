"""Settings, journals, patience and leftovers of the training service."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_proto.training.v1 import training_pb2 as pb
from modelog_training.api.parse import object_of, status_wanted, submit_job
from modelog_training.compute.leftovers import OWNER, ProcessList, remove_abandoned
from modelog_training.compute.ray_local import LONGEST_FOLDER, RayWorkers, temporary_folder
from modelog_training.compute.thread import OwnThread
from modelog_training.job.events import Resources
from modelog_training.job.state import JobStatus
from modelog_training.react.patience import GaveUp, Patience
from modelog_training.settings import CPUS, training_cpus
from modelog_training.work import journal
from modelog_training.work.journal import JournalReader, JournalWriter, MetricLogged, ParamsLogged

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_what_is_left_out_of_a_spec_is_filled_in() -> None:
    command = submit_job(pb.JobSpec(name="n", experiment="e", entry_point="a:b"), "job-1")
    assert (command.resources, command.max_attempts, command.timeout_s) == (Resources(1.0, 0), 3, 86400.0)
    assert command.register is None


def test_parameters_are_json_values() -> None:
    spec = pb.JobSpec()
    given = {"depth": 6, "eta": 0.5, "name": "x", "on": True, "none": None, "list": [1, {"a": 2.5}]}
    spec.parameters.update(given)
    found = object_of(spec.parameters)
    assert found == given
    assert type(found["depth"]) is int


def test_a_status_is_one_of_those_that_exist() -> None:
    assert status_wanted(0) is None
    assert status_wanted(pb.JOB_STATUS_FAILED) is JobStatus.FAILED
    with pytest.raises(Invalid, match=r"status: 9 is not one of JOB_STATUS_QUEUED \(1\), "):
        status_wanted(9)


def test_jobs_get_two_cpus_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CPUS, raising=False)
    assert training_cpus() == min(2, os.cpu_count() or 1)
    monkeypatch.setenv(CPUS, "8")
    assert training_cpus() == 8
    for wrong in ("0", "two", "-1", "1.5", "5000"):
        monkeypatch.setenv(CPUS, wrong)
        with pytest.raises(Invalid, match=f"{CPUS}: is '{wrong}'; allowed: a whole number from 1 to 1024"):
            training_cpus()


def test_half_a_line_of_a_journal_is_left_for_later(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    reader = JournalReader(file)
    assert reader.read() == []
    writer = JournalWriter(file)
    writer.metric("auc", 0.5, 1)
    with file.open("ab") as out:
        out.write(b'{"type":"par')
    (metric,) = reader.read()
    assert isinstance(metric, MetricLogged)
    assert reader.read() == []
    with file.open("ab") as out:
        out.write(b'ams","params":{}}\n')
    assert reader.read() == [ParamsLogged({})]
    writer.close()


def test_a_line_of_a_journal_may_be_longer_than_what_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "READ_BYTES", 100)
    writer = JournalWriter(tmp_path / "journal")
    wanted = [ParamsLogged({"long": "x" * 1000}), ParamsLogged({"short": 1})]
    for record in wanted:
        writer.write(record)
    writer.close()
    reader = JournalReader(tmp_path / "journal")
    assert [*reader.read(), *reader.read()] == wanted


async def test_calls_that_nobody_answers_are_repeated() -> None:
    tries = []

    async def call() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable("gone")
        return "answer"

    assert await Patience().limited(call) == "answer"
    tries.clear()
    assert await Patience(0).endless(call) == "answer"


async def test_patience_ends() -> None:
    async def call() -> None:
        raise Unavailable("the registry is gone")

    with pytest.raises(GaveUp, match="did not answer for 0 s: the registry is gone"):
        await Patience(0).limited(call)


async def test_a_refusal_is_not_repeated() -> None:
    tries = []

    async def call() -> None:
        tries.append(1)
        raise Invalid("no")

    with pytest.raises(Invalid):
        await Patience().limited(call)
    assert tries == [1]


def test_what_was_left_running_is_ended(tmp_path: Path) -> None:
    processes = ProcessList(tmp_path / "list.json")
    assert processes.end_all() == 0
    child = subprocess.Popen(SLEEPER)
    try:
        processes.write([psutil.Process(child.pid)])
        assert processes.end_all() == 1
        assert child.poll() is not None
        assert not (tmp_path / "list.json").exists()
    finally:
        child.kill()


def test_a_process_that_took_over_an_id_is_left_alone(tmp_path: Path) -> None:
    child = subprocess.Popen(SLEEPER)
    try:
        (tmp_path / "list.json").write_text(f'{{"{child.pid}": 12.5}}')
        assert ProcessList(tmp_path / "list.json").end_all() == 0
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_rays_sockets_have_names_that_are_short_enough(tmp_path: Path) -> None:
    assert temporary_folder(Path("/data/training")) == Path("/data/training/ray")
    deep = tmp_path / ("x" * LONGEST_FOLDER)
    assert len(str(temporary_folder(deep))) < LONGEST_FOLDER
    assert temporary_folder(deep) == temporary_folder(deep)
    assert temporary_folder(deep) != temporary_folder(deep / "other")


def test_folders_whose_owner_is_gone_are_removed(tmp_path: Path) -> None:
    child = subprocess.Popen(SLEEPER)
    kept, abandoned, unowned = (tmp_path / name for name in ("kept", "abandoned", "unowned"))
    for folder in (kept, abandoned, unowned):
        folder.mkdir()
    elsewhere = tmp_path / "link"
    elsewhere.symlink_to(unowned)
    ProcessList(kept / OWNER).write([psutil.Process()])
    ProcessList(abandoned / OWNER).write([psutil.Process(child.pid)])
    child.kill()
    child.wait()
    remove_abandoned([kept, abandoned, elsewhere])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "link", "unowned"]


async def test_a_thread_of_ones_own_gives_results_and_errors() -> None:
    thread = OwnThread("test")
    assert await thread.run(lambda: 6 * 7) == 42
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 / 0)
    assert await thread.run(threading.current_thread) is await thread.run(threading.current_thread)


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    thread, gate = OwnThread("test"), threading.Event()
    first = asyncio.create_task(thread.run(gate.wait))
    done: list[str] = []
    second = asyncio.create_task(thread.run(lambda: done.append("second")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.set()
    assert await first
    await thread.run(lambda: done.append("third"))
    assert done == ["third"]


async def test_ray_that_was_imported_before_is_refused_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray reads its token when it is imported: with another one nothing that it is asked ends."""
    monkeypatch.setitem(sys.modules, "ray", sys)
    with pytest.raises(Unavailable, match="imported before it had its token: training needs a process of its own"):
        await RayWorkers(tmp_path, 1).start()
