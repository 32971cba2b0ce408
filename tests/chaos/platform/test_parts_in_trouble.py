"""A broker that hangs, a disk that fills up, a disk that is slow: the platform says so, and goes on afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import modelog
import pytest
from modelog_platform.servers.packages import apt_install
from modelog_platform.servers.recipe import servers_home
from running_platform import SERVICES, RunningPlatform, until
from survivor import Survivor

A_MINUTE_S = 60.0
# Wanted are 30 s on a quiet machine (printed: -s); a busy one is waited for.
PATIENCE_S = 150
DISK_BYTES = 400 * 2**20
FSYNC_DELAY_US = 300_000
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


def test_the_broker_hangs_for_a_minute(survivor: Survivor) -> None:
    """Commands and predictions are acknowledged meanwhile; the stream waits, and nothing of it is lost."""
    work, broker = survivor.work, survivor.own.process("broker")["pid"]
    with work.going_on():
        survivor.until_work_goes_on("before the broker hangs")
        commands, _, predictions = work.amounts()
        os.kill(broker, signal.SIGSTOP)
        try:
            over = time.monotonic() + A_MINUTE_S
            until("a minute is over", lambda: time.monotonic() >= over, 2 * A_MINUTE_S)
        finally:
            os.kill(broker, signal.SIGCONT)
        assert work.amounts()[0] > commands
        assert work.amounts()[2] > predictions
        survivor.until_work_goes_on("after the broker answers again", PATIENCE_S)
    survivor.check_everything()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few hundred megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "modelog-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_disk_fills_up(small_disk: Path, tmp_path: Path) -> None:
    """Commands are refused and say why; with room again everything goes on, and what was acknowledged is there."""
    own = RunningPlatform(small_disk)
    own.up()
    try:
        survivor = Survivor(own, tmp_path)
        with survivor.work.going_on():
            survivor.until_work_goes_on("before the disk is full")
            filler = small_disk / "filler"
            with filling(filler):
                said = until("a command is refused", lambda: refusal(survivor), 60)
            assert "disk" in said or "full" in said, said
            until("every process is healthy", own.all_healthy, PATIENCE_S)
            survivor.until_work_goes_on("with room again", PATIENCE_S)
        survivor.check_everything()
    finally:
        own.down()


@contextmanager
def filling(file: Path) -> Iterator[None]:
    """Take all the room there is, and give it back."""
    with file.open("wb", buffering=0) as taken:
        try:
            while True:
                taken.write(bytes(1 << 16))
        except OSError:
            pass
        yield
    file.unlink()


def refusal(survivor: Survivor) -> str:
    """What the platform says to a command that it cannot store; empty when it stores it."""
    try:
        survivor.admin.runs.start("survivor", "may not fit", parameters={"filler": "x" * 4000})
    except modelog.Unavailable as error:
        return str(error)
    return ""


@pytest.fixture
def strace() -> str:
    """The path of strace(1), which is installed when it is missing."""
    apt_install(servers_home() / "strace", print, ["strace"], lambda: shutil.which("strace") is not None)
    return str(shutil.which("strace"))


def test_fsync_is_slow(survivor: Survivor, strace: str) -> None:
    """Each fsync of every service takes a third of a second (strace(1) holds it): slow, and nothing else."""
    pids = [survivor.own.process(name)["pid"] for name in SERVICES]
    with survivor.work.going_on():
        survivor.until_work_goes_on("at first")
        delay = f"inject=fsync,fdatasync:delay_enter={FSYNC_DELAY_US}"
        attach = [argument for pid in pids for argument in ("-p", str(pid))]
        tracer = subprocess.Popen(
            [strace, "--quiet=all", "-f", "-e", "trace=fsync,fdatasync", "-e", delay, "-o", "/dev/null", *attach]
        )
        try:
            until("strace is attached", lambda: traced(pids))
            survivor.until_work_goes_on("while fsync is slow")
            assert tracer.poll() is None
        finally:
            tracer.terminate()
            tracer.wait()
        survivor.until_work_goes_on("when it is fast again", PATIENCE_S)
    survivor.check_everything()


def traced(pids: list[int]) -> bool:
    """Whether each process has a tracer (proc(5))."""
    return all("TracerPid:\t0" not in Path(f"/proc/{pid}/status").read_text() for pid in pids)
