"""`modelog up` and `down` on small processes: refusals that say what to do, and nothing damaged by them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import modelog
import pytest
from modelog.config import read_profile
from modelog_common.domain.errors import NotFound, Unavailable
from modelog_platform import commands
from modelog_platform import up as module
from modelog_platform.__main__ import main
from modelog_platform.folder import SERVICES, PlatformFolder
from modelog_platform.parts.ports import free_port
from modelog_platform.processes import choose_ports, process_specs
from modelog_platform.profile import load_profile

sys.path.insert(0, str(Path(__file__).parent))

from fake_processes import FAILS, LISTENS, prepared, spec

HOLDS = """
import os, signal, sys
from pathlib import Path
from modelog_platform.folder import PlatformFolder
folder = PlatformFolder(Path(sys.argv[1]))
folder.lock()
if sys.argv[2:] == ["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("held", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "profile.json"
    monkeypatch.setenv("MODELOG_PROFILE", str(file))
    return file


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def contents(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file() and "run" not in f.parts}


def with_processes(monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Have `up` run these instead of the platform's own processes."""
    monkeypatch.setattr(module, "process_specs", lambda folder, *_: [spec(folder, n, s) for n, s in scripts.items()])


def stop_when_ready(_: Mapping[str, str]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_platform_runs_until_it_is_told_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_processes(monkeypatch, broker=LISTENS, registry=LISTENS)
    told: list[str] = []
    module.up(tmp_path / "data", 0, lambda name, _: told.append(name), stop_when_ready)
    assert sorted(told) == ["broker", "registry"]
    folder = PlatformFolder(tmp_path / "data")
    assert folder.holder() is None
    profile = read_profile()
    assert profile["users"] == {"admin": folder.admin_token()}
    assert (profile["data_dir"], profile["url"]) == (str(folder.root), profile["endpoints"]["web"])


def test_the_command_is_the_same_with_the_sdks_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_processes(monkeypatch, broker=LISTENS)
    commands.run_here(tmp_path / "data", 0, lambda *_: None, stop_when_ready)
    with_processes(monkeypatch, broker=FAILS)
    with pytest.raises(modelog.Unavailable, match="no luck today"):
        commands.run_here(tmp_path / "data", 0, lambda *_: None, stop_when_ready)
    with pytest.raises(modelog.NotFound, match="no platform runs in"):
        commands.down(tmp_path / "data")


def test_a_process_that_does_not_come_up_is_said_and_frees_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_processes(monkeypatch, broker=FAILS)
    monkeypatch.setattr(sys, "argv", ["modelog_platform", "--data-dir", str(tmp_path / "data"), "--port", "0"])
    assert main() == 1
    assert "modelog up: broker did not start" in capsys.readouterr().err
    assert PlatformFolder(tmp_path / "data").holder() is None


def test_trouble_with_a_file_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_processes(monkeypatch, broker=LISTENS)
    (tmp_path / "data" / "logs" / "broker.log").mkdir(parents=True)
    with pytest.raises(Unavailable, match=r"the platform cannot run: .*Is a directory: .*broker\.log"):
        module.up(tmp_path / "data", 0, lambda *_: None, stop_when_ready)


def test_a_port_in_use_is_said_with_a_way_out_and_damages_nothing(tmp_path: Path, taken_port: int) -> None:
    folder = prepared(tmp_path / "data")
    before = contents(folder.root)
    text = f"port {taken_port} is in use by another process; choose another with --port, or --port 0 for any"
    with pytest.raises(Unavailable) as caught:
        module.up(folder.root, taken_port, lambda *_: None, stop_when_ready)
    assert str(caught.value) == text
    assert contents(folder.root) == before
    assert folder.holder() is None


def test_the_process_ends_with_status_1_and_one_sentence(tmp_path: Path, taken_port: int) -> None:
    command = [sys.executable, "-m", "modelog_platform", "--data-dir", str(tmp_path / "d"), "--port", str(taken_port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"modelog up: port {taken_port} is in use")
    assert len(done.stderr.splitlines()) == 1


def test_a_start_in_the_background_tells_why_it_failed(tmp_path: Path, taken_port: int) -> None:
    folder = prepared(tmp_path / "data")
    log = folder.logs / "supervisor.log"
    log.write_text("what an earlier platform said\n")
    with pytest.raises(Unavailable) as caught:
        module.start_detached(folder.root, taken_port, lambda *_: None)
    assert str(caught.value).startswith(f"port {taken_port} is in use by another process")
    assert log.read_text().startswith("what an earlier platform said\nmodelog up: port")


def test_a_start_in_the_background_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DETACHED_TIMEOUT_S", 0.0)
    with pytest.raises(Unavailable, match=r"was not ready within 0 s; see .*logs"):
        module.start_detached(tmp_path / "data", 0, lambda *_: None)
    assert PlatformFolder(tmp_path / "data").holder() is None


@pytest.fixture
def holder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the directory, as a running platform does."""
    folder = prepared(tmp_path / "data")
    arguments = [str(folder.root), *getattr(request, "param", ())]
    process = subprocess.Popen([sys.executable, "-c", HOLDS, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_platform_is_refused_by_the_pid_of_the_first(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    before = contents(tmp_path / "data")
    with pytest.raises(Unavailable, match=rf"in use by a running platform \(process {holder.pid}\)"):
        module.up(tmp_path / "data", 0, lambda *_: None, stop_when_ready)
    assert contents(tmp_path / "data") == before
    assert holder.poll() is None


def test_down_stops_what_has_the_directory(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert commands.down(tmp_path / "data") == tmp_path / "data"
    assert holder.wait(150) == -signal.SIGTERM


@pytest.mark.parametrize("holder", [("stubborn",)], indirect=True)
def test_down_says_when_a_platform_does_not_stop(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.05)
    with pytest.raises(Unavailable, match=f"process {holder.pid} did not stop within 0.15 s"):
        module.down(tmp_path / "data")


def test_down_without_a_platform_stops_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: Path
) -> None:
    """A state file may name a process that got the platform's number since."""
    with pytest.raises(NotFound, match="no platform runs in"):
        module.down(tmp_path / "nothing")
    folder = prepared(tmp_path / "data")
    folder.write_state({"pid": os.getpid(), "ready": True})
    folder.lock_file.write_text(str(os.getpid()))
    signalled: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: signalled.append(arguments))
    profile.write_text(f'{{"data_dir": "{folder.root}"}}')
    with pytest.raises(NotFound, match=f"no platform runs in {folder.root}"):
        module.down(None)
    assert signalled == []


def test_every_process_gets_ports_logs_and_settings_of_its_own(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "data")
    embedded = load_profile("embedded")
    ports = choose_ports(0, embedded)
    numbers = [
        ports.broker,
        ports.graph,
        ports.gateway_http,
        ports.serving_http,
        ports.serving_oip,
        *ports.grpc.values(),
    ]
    assert len(set(numbers)) == len(numbers) == 5 + len(SERVICES)
    fixed = free_port()
    assert choose_ports(fixed, embedded).gateway_http == fixed
    specs = {s.name: s for s in process_specs(folder, ports, {"MODELOG_LOG_LEVEL": "error"}, embedded)}
    assert list(specs) == ["broker", "graph", *SERVICES]
    assert len({s.log for s in specs.values()}) == len(specs)
    assert [name for name, s in specs.items() if s.health] == list(SERVICES)
    gateway, serving = specs["gateway"].environment, specs["serving"].environment
    assert gateway["MODELOG_HTTP_PORT"] == str(ports.gateway_http)
    assert (serving["MODELOG_HTTP_PORT"], serving["MODELOG_OIP_GRPC_PORT"]) == (
        str(ports.serving_http),
        str(ports.serving_oip),
    )
    assert {s.environment["MODELOG_LOG_LEVEL"] for n, s in specs.items() if n in SERVICES} == {"error"}
    assert str(folder.secrets / "serving.token") == serving["MODELOG_SERVICE_TOKEN_FILE"]
    assert not any((folder.secrets / "graph.password").read_text() in " ".join(s.command) for s in specs.values())


def test_grpcs_fork_handlers_are_off_before_grpc_is_imported() -> None:
    code = (
        "import os, sys, modelog_platform\n"
        "assert 'grpc' not in sys.modules\n"
        "print(os.environ['GRPC_ENABLE_FORK_SUPPORT'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_ENABLE_FORK_SUPPORT"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout.strip(), done.stderr) == ("0", "")
