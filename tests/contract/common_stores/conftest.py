"""Puts the suites beside this file on the path of the modules that inherit them; starts a graph database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelog_platform.parts.ports import free_port

sys.path.insert(0, str(Path(__file__).parent))

PASSWORD = "correct horse battery"


class GraphServer:
    """ArcadeDB in a process of its own, which a test may kill and start again on the same port and folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.user, self.password = "root", PASSWORD
        self.uri = f"bolt://127.0.0.1:{self.port}"
        self._folder = folder
        self._password_file = folder / "password"
        self._password_file.write_text(PASSWORD)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, object]:
        command = [sys.executable, "-m", "modelog_platform.parts.graph", "--port", str(self.port)]
        command += ["--data", str(self._folder / "data"), "--password-file", str(self._password_file)]
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        log.close()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self._folder / "log").read_text()
        ready: dict[str, object] = json.loads(line)
        return ready

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._collect(self._process)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._collect(self._process)

    def _collect(self, process: subprocess.Popen[bytes]) -> int:
        self._process = None
        status = process.wait(timeout=150)
        if process.stdout is not None:
            process.stdout.close()
        return status


@pytest.fixture(scope="session")
def graph_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    """A graph database that all tests of the session share: use labels of your own."""
    server = GraphServer(tmp_path_factory.mktemp("graph"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def fresh_graph_server(tmp_path: Path) -> Iterator[GraphServer]:
    """A graph database of this test's own, running."""
    server = GraphServer(tmp_path)
    server.start()
    yield server
    server.kill()
