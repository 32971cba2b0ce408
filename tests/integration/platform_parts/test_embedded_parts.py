"""The embedded parts start, say so, and say plainly why they cannot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelog_platform.parts import broker, graph
from modelog_platform.parts.ports import free_port, is_listening, wait_listening


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    return file


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    assert not is_listening(port)
    with socket.create_server(("127.0.0.1", port)):
        assert is_listening(port)


def test_a_server_that_ends_or_does_not_listen_is_said() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(RuntimeError, match="it ended with status 3 before it listened on port"):
        wait_listening(ended, free_port(), "it")
    idle = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with pytest.raises(RuntimeError, match=r"it did not listen on port \d+ within 0.1 s"):
        wait_listening(idle, free_port(), "it", timeout_s=0.1)
    idle.kill()
    idle.wait()


def test_the_broker_starts_and_a_taken_port_is_refused(taken_port: int) -> None:
    port = free_port()
    process = broker.start_broker(port)
    assert is_listening(port)
    process.kill()
    process.wait()
    with pytest.raises(RuntimeError, match=f"port {taken_port} is in use; the broker needs it"):
        broker.start_broker(taken_port)


def test_a_broker_that_does_not_come_up_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/bin/false")
    with pytest.raises(RuntimeError, match="the Kafka broker ended with status 1"):
        broker.start_broker(free_port())


def test_the_graph_answers_until_it_is_told_to_stop(
    tmp_path: Path, password_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}

    def stop_when_listening() -> None:
        while not is_listening(port):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_when_listening)
    stopper.start()
    arguments = ["--port", str(port), "--data", str(tmp_path / "data"), "--password-file", str(password_file)]
    try:
        assert graph.main(arguments) == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stopper.join()
    assert f'{{"bolt": "bolt://127.0.0.1:{port}", "user": "root", "database": "modelog"' in capfd.readouterr().out


def test_a_graph_that_cannot_start_says_why(
    tmp_path: Path, password_file: Path, taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def status(port: int, data: Path, password: Path) -> int:
        return graph.main(["--port", str(port), "--data", str(data), "--password-file", str(password)])

    assert status(taken_port, tmp_path / "data", password_file) == 1
    assert f"cannot start: port {taken_port} is in use" in capsys.readouterr().err
    assert status(free_port(), tmp_path / "data", tmp_path / "nothing") == 1
    assert "No such file or directory" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert status(free_port(), tmp_path / "file", password_file) == 1
    assert "File exists" in capsys.readouterr().err
    password_file.write_text("short")
    with pytest.raises(SystemExit) as ended:
        status(free_port(), tmp_path / "data", password_file)
    assert ended.value.code == 2
    assert "a password has at least 8 characters" in capsys.readouterr().err
