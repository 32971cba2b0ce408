"""What starts is waited for while it works, and not for ever."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from modelog_common.domain.errors import Unavailable
from modelog_platform import supervisor as module
from modelog_platform.folder import PlatformFolder
from modelog_platform.supervisor import Supervisor

sys.path.insert(0, str(Path(__file__).parent))

from fake_processes import IDLES, ports, prepared, spec, until


@pytest.fixture
def folder(tmp_path: Path) -> PlatformFolder:
    return prepared(tmp_path / "data")


def registry_of(folder: PlatformFolder) -> Supervisor:
    return Supervisor(folder, ports(), [spec(folder, "registry", IDLES)])


def given_up() -> Any:
    return pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="registry did not start"))


async def test_what_works_while_it_starts_is_waited_for_as_long_again(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.05)
    looks: list[float] = []

    def used(_pid: int) -> float:
        looks.append(min(len(looks) + 1, 4) * module.WORK_S)
        return looks[-1]

    monkeypatch.setattr(module, "cpu_s", used)
    with given_up():
        await registry_of(folder).run(lambda *_: None, lambda: None)
    assert looks == [module.WORK_S * times for times in (1, 2, 3, 4, 4)]


async def test_what_works_for_ever_while_it_starts_is_given_up(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.05)
    monkeypatch.setattr(module, "LONGEST_START_S", 0.2)
    monkeypatch.setattr(module, "cpu_s", lambda _: time.monotonic() * module.WORK_S * 100)
    with given_up():
        await registry_of(folder).run(lambda *_: None, lambda: None)


async def test_the_work_of_a_process_is_its_childrens_too() -> None:
    busy = "while True: pass"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{busy}'])"
    process = subprocess.Popen([sys.executable, "-c", starts])
    try:
        await until("a child", lambda: bool(psutil.Process(process.pid).children()))
        own = sum(psutil.Process(process.pid).cpu_times()[:2])
        await until("its work is counted", lambda: module.cpu_s(process.pid) > own + 0.5)
    finally:
        for child in psutil.Process(process.pid).children():
            child.kill()
        process.wait()
    assert module.cpu_s(process.pid) == 0.0
