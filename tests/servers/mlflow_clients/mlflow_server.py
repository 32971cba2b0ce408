"""A real `mlflow server` with SQLite, and what may stand between it and who reads from it."""

from __future__ import annotations

import http.client
import os
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from modelog_platform.parts.ports import free_port
from modelog_platform.servers.packages import python_environment
from modelog_platform.servers.recipe import servers_home

# The same environment as that of tests/bench/bench_mlflow.py.
PEER = "mlflow==3.17.2"
START_S = 300
PROGRAM_S = 600
PROGRAMS = Path(__file__).parent / "programs"


class MlflowServer:
    """MLflow's own server; one worker is enough here."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.python = python_environment(servers_home() / "mlflow-server", PEER.encode(), [PEER])

    def start(self) -> None:
        command = [str(self.python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"]
        command += ["--artifacts-destination", f"{self._folder}/files"]
        path = f"{self.python.parent}:{os.environ['PATH']}"
        with (self._folder / "mlflow.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env={**_plain(), "PATH": path}, stdout=log, stderr=log
            )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=60):  # noqa: S310
                    return
            except OSError:
                assert self._process.poll() is None, (self._folder / "mlflow.log").read_text()[-4000:]
                time.sleep(0.1)
        raise AssertionError(f"mlflow server is not healthy within {START_S} s")

    def stop(self) -> None:
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.terminate()
        self._process.wait(60)
        for child in psutil.wait_procs(family, timeout=20)[1]:
            child.kill()

    def client(self, program: str, folder: Path, url: str, token: str = "") -> str:
        """Run one of the programs with MLflow's own client against a server; returns what it printed last."""
        environment = {**_plain(), "MLFLOW_TRACKING_URI": url, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
        environment |= {"MLFLOW_TRACKING_TOKEN": token} if token else {}
        done = subprocess.run(
            [self.python, PROGRAMS / f"{program}.py"],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=PROGRAM_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}.py:\n{done.stdout}\n{done.stderr[-8000:]}"
        return done.stdout.splitlines()[-1]


def _plain() -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
    return {**plain, "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}


class Between:
    """Passes requests on to a server; from the `most`-th on it answers none, and `stuck` is set.

    With `wants`, only requests with that header Authorization are passed on.
    """

    def __init__(self, url: str, most: int = 1_000_000, wants: str = "") -> None:
        self.stuck = threading.Event()
        self._over = threading.Event()
        self._left, self._lock = most, threading.Lock()
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if between._last():
                    between.stuck.set()
                    between._over.wait(60)
                    self.close_connection = True
                    return
                if wants and self.headers.get("Authorization") != wants:
                    self._answer(401, b'{"error_code": "UNAUTHENTICATED", "message": "who are you?"}')
                    return
                to = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PROGRAM_S)
                to.request(self.command, self.path, body, {"Content-Type": "application/json"})
                answer = to.getresponse()
                self._answer(answer.status, answer.read())

            do_POST = do_GET  # noqa: N815

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _last(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left < 0

    def stop(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
