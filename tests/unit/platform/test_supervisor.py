"""The supervisor: starts processes, starts them again when they die, says plainly when one does not come up."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grpc.aio
import psutil
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from modelog_common.domain.errors import Unavailable
from modelog_platform import supervisor as module
from modelog_platform.folder import PlatformFolder
from modelog_platform.parts.ports import free_port
from modelog_platform.processes import ProcessSpec
from modelog_platform.supervisor import Supervisor, is_healthy, says_serving, tail

sys.path.insert(0, str(Path(__file__).parent))

from fake_processes import FAILS, IDLES, LISTENS, STUBBORN, ports, prepared, running, spec, until


@pytest.fixture
def folder(tmp_path: Path) -> PlatformFolder:
    return prepared(tmp_path / "data")


def of(folder: PlatformFolder, **scripts: str) -> Supervisor:
    return Supervisor(folder, ports(), [spec(folder, name, script) for name, script in scripts.items()])


def refusal(group: BaseExceptionGroup[Exception]) -> Unavailable:
    found = group.subgroup(Unavailable)
    assert found is not None
    (error,) = found.exceptions
    assert isinstance(error, Unavailable)
    return error


async def test_all_are_started_told_of_and_stopped(folder: PlatformFolder) -> None:
    supervisor = of(folder, broker=LISTENS, registry=LISTENS)
    async with running(supervisor) as told:
        assert sorted(told) == ["broker", "registry"]
        await until("ready in the state file", lambda: folder.read_state().get("ready", False))
        state = folder.read_state()
        assert state["pid"] == os.getpid()
        assert state["endpoints"]["web"] == "http://127.0.0.1:3"
        pids = [one["pid"] for one in state["processes"].values()]
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    state = folder.read_state()
    assert not state["ready"]
    assert {(one["state"], one["last_exit"]) for one in state["processes"].values()} == {("stopped", -signal.SIGTERM)}
    assert (folder.logs / "broker.log").read_text() == "listening\n"


async def test_a_killed_process_is_started_again(folder: PlatformFolder) -> None:
    supervisor = of(folder, registry=LISTENS, gateway=LISTENS)
    async with running(supervisor):
        before = supervisor.state()["processes"]
        os.kill(before["registry"]["pid"], signal.SIGKILL)
        await until("a restart", lambda: supervisor.state()["processes"]["registry"]["restarts"] == 1)
        await until("health", lambda: supervisor.state()["processes"]["registry"]["state"] == "healthy")
        after = supervisor.state()["processes"]
        assert after["registry"]["pid"] != before["registry"]["pid"]
        assert after["registry"]["last_exit"] == -signal.SIGKILL
        assert [after["gateway"][what] for what in ("pid", "restarts")] == [before["gateway"]["pid"], 0]
        await until("the state file", lambda: folder.read_state()["processes"]["registry"]["restarts"] == 1)


@pytest.mark.timeout(180)
async def test_it_stops_though_a_cancellation_gets_lost(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.wait_for` of Python 3.11 loses one that comes together with the result."""

    waiting: set[str] = set()

    async def no_more_answers(spec: ProcessSpec) -> bool:
        if supervisor.state()["ready"]:
            waiting.add(spec.name)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return True

    monkeypatch.setattr(module, "is_healthy", no_more_answers)
    supervisor = of(folder, broker=IDLES, registry=IDLES)
    async with running(supervisor):
        await until("a question about each", lambda: len(waiting) == 2)
    assert {one["state"] for one in supervisor.state()["processes"].values()} == {"stopped"}


async def test_a_process_that_hangs_is_shown_as_unhealthy(folder: PlatformFolder) -> None:
    supervisor = of(folder, registry=LISTENS)
    async with running(supervisor):
        os.kill(supervisor.state()["processes"]["registry"]["pid"], signal.SIGUSR1)
        await until("unhealthy", lambda: supervisor.state()["processes"]["registry"]["state"] == "unhealthy")
        assert supervisor.state()["processes"]["registry"]["restarts"] == 0


async def test_a_process_that_keeps_dying_is_given_up_with_its_last_words(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not even on a machine on which a process takes its time to end.
    monkeypatch.setattr(module, "STEADY_S", 3600)
    supervisor = of(folder, broker=LISTENS, registry=FAILS)
    with pytest.raises(ExceptionGroup) as caught:
        await supervisor.run(lambda *_: None, lambda: pytest.fail("it is not ready"))
    text = str(refusal(caught.value))
    assert "registry did not start (it is restarting, last exit status 3)" in text
    assert text.endswith("no luck today")
    assert "MB left" not in text
    registry = supervisor._all["registry"]
    assert (registry.restarts, registry.pause_s) == (3, pytest.approx(0.8)), "each pause is twice the one before"
    assert supervisor.state()["processes"]["broker"]["state"] == "stopped"


async def test_a_process_that_never_gets_healthy_is_given_up(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.5)
    monkeypatch.setattr(module, "LEAST_FREE_BYTES", 2**80)
    supervisor = of(folder, registry=IDLES)
    with pytest.raises(ExceptionGroup) as caught:
        await supervisor.run(lambda *_: None, lambda: None)
    text = str(refusal(caught.value))
    assert "registry did not start (it is starting, last exit status None)" in text
    assert f"The disk of {folder.root} has only" in text, "a full disk explains why a log says nothing"


async def test_stopping_ends_a_start_that_is_under_way(folder: PlatformFolder) -> None:
    supervisor = of(folder, registry=IDLES)
    task = asyncio.create_task(supervisor.run(lambda *_: None, lambda: pytest.fail("it is not ready")))
    await until("a start", lambda: supervisor.state()["processes"]["registry"]["pid"] is not None)
    supervisor.stop()
    await task
    assert supervisor.state()["processes"]["registry"]["state"] == "stopped"


async def test_a_process_that_does_not_stop_is_killed(folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.2)
    supervisor = of(folder, registry=STUBBORN)
    async with running(supervisor):
        pass
    assert supervisor.state()["processes"]["registry"]["last_exit"] == -signal.SIGKILL


async def test_services_stop_before_the_parts_that_they_drain_into(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    supervisor = of(folder, broker=LISTENS, registry=LISTENS, graph=LISTENS)
    stop_one = supervisor._stop_one

    async def noting(one: module.Running) -> None:
        await stop_one(one)
        order.append(one.spec.name)

    monkeypatch.setattr(supervisor, "_stop_one", noting)
    async with running(supervisor):
        pass
    assert order[0] == "registry"
    assert set(order[1:]) == {"broker", "graph"}


async def test_a_state_that_cannot_be_written_stops_a_start_and_not_a_platform(folder: PlatformFolder) -> None:
    run = folder.state_file.parent
    supervisor = of(folder, registry=LISTENS)
    async with running(supervisor):
        shutil.rmtree(run)
        run.write_text("a file where the folder was")
        os.kill(supervisor.state()["processes"]["registry"]["pid"], signal.SIGKILL)
        await until("a restart", lambda: supervisor.state()["processes"]["registry"]["restarts"] == 1)
        await until("health", lambda: supervisor.state()["processes"]["registry"]["state"] == "healthy")
    supervisor = of(folder, registry=LISTENS)
    with pytest.raises(ExceptionGroup) as caught:
        await supervisor.run(lambda *_: None, lambda: None)
    assert "state.json cannot be written" in str(refusal(caught.value))


SUPERVISES = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fake_processes import LISTENS, ports, prepared, spec
from modelog_platform.supervisor import Supervisor
folder = prepared(Path(sys.argv[2]))
specs = [spec(folder, name, LISTENS) for name in ("broker", "registry")]
asyncio.run(Supervisor(folder, ports(), specs).run(lambda *_: None, lambda: None))
"""


async def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    folder = PlatformFolder(tmp_path / "data")
    command = [sys.executable, "-c", SUPERVISES, str(Path(__file__).parent), str(folder.root)]
    supervisor = subprocess.Popen(command)
    try:
        await until("a platform", lambda: folder.read_state().get("ready", False))
        children = [psutil.Process(one["pid"]) for one in folder.read_state()["processes"].values()]
    finally:
        supervisor.kill()
        supervisor.wait()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, children, 150)
    assert (len(gone), alive) == (2, [])


@pytest.fixture
async def health_service() -> AsyncIterator[tuple[int, health.aio.HealthServicer]]:
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port, servicer
    await server.stop(0)


async def test_a_service_is_healthy_when_it_says_so(health_service: tuple[int, health.aio.HealthServicer]) -> None:
    port, servicer = health_service
    service = ProcessSpec("registry", [], port, True, Path("nowhere.log"))
    assert await is_healthy(service)
    await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert not await is_healthy(service)
    assert not await says_serving(f"127.0.0.1:{free_port()}")


def test_the_tail_of_a_log_is_its_end(tmp_path: Path) -> None:
    service = ProcessSpec("registry", [], 1, False, tmp_path / "x.log")
    assert tail(service) == "(nothing)"
    service.log.write_bytes(b"early " * 1000 + b"\xff last words\n")
    assert tail(service).endswith("\ufffd last words")
    assert len(tail(service)) <= module.TAIL_BYTES
    service.log.write_text(" \n")
    assert tail(service) == "(nothing)"


async def test_services_are_started_once_the_servers_serve_and_stopped_before_them(folder: PlatformFolder) -> None:
    gate = folder.root / "gate"
    server = replace(spec(folder, "kafka", IDLES), part=True, serves=gate.exists, stop_signal=signal.SIGINT)
    service = spec(folder, "registry", LISTENS)
    supervisor = Supervisor(folder, ports(), [service, server])

    def state_of(name: str) -> str:
        return str(supervisor.state()["processes"][name]["state"])

    async def open_gate() -> None:
        await until("the server runs", lambda: state_of("kafka") == "starting")
        assert state_of("registry") == "waiting"
        gate.touch()

    opening = asyncio.create_task(open_gate())
    async with running(supervisor) as told:
        await opening
        assert told == ["kafka", "registry"]
        assert supervisor.state()["stops_within_s"] > 3 * module.STOP_TIMEOUT_S
    processes = supervisor.state()["processes"]
    assert processes["kafka"]["last_exit"] in (-signal.SIGINT, 1, 130)
    assert processes["registry"]["last_exit"] == -signal.SIGTERM
