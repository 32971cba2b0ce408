"""The servers that bench_mlflow.py compares: registry and gateway, and a real `mlflow server`; what they take."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from http_load import http_request
from modelog_common.domain.clock import SystemClock
from modelog_common.privacy.masters import new_master_key
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_platform.parts.ports import free_port
from modelog_platform.servers.packages import python_environment
from modelog_platform.servers.recipe import servers_home

API = "/api/2.0/mlflow"
PEER = "mlflow==3.17.2"
START_S = 300.0
MB = 1024 * 1024
TRIES = 5
# What the peer is filled with: runs of so many metrics, models of so many versions.
METRICS, VERSIONS = 20, 5


@dataclass
class Server:
    """A tracking server: where it is, what it took to start, its processes, and the experiment that is searched."""

    name: str
    port: int
    token: str
    healthy_s: float
    pids: list[int]
    searched: str = ""

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def post(self, path: str, **body: object) -> dict[str, object]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{API}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
                    found: dict[str, object] = json.load(answer)
                    return found
            except ConnectionError:
                # The peer ends a worker that did not answer it in time.
                if not left:
                    raise
                time.sleep(1)
        raise AssertionError("unreachable")

    def request(self, path: str, **body: object) -> bytes:
        return http_request("POST", API + path, self.token, json.dumps(body).encode())

    def get(self, path: str) -> bytes:
        return http_request("GET", API + path, self.token)

    def run(self, experiment_id: str) -> str:
        made = self.post("/runs/create", experiment_id=experiment_id, run_name="bench", start_time=now_ms())
        return str(made["run"]["info"]["run_id"])  # type: ignore[index]

    def family(self) -> list[psutil.Process]:
        roots = [psutil.Process(pid) for pid in self.pids]
        return [p for root in roots for p in (root, *root.children(recursive=True))]

    def memory_mb(self) -> tuple[float, float]:
        """Resident, and with each page that processes share divided among them."""
        taken = [p.memory_full_info() for p in self.family()]
        return sum(one.rss for one in taken) / MB, sum(one.pss for one in taken) / MB

    def at_rest(self) -> tuple[float, ...]:
        """Seconds until it was healthy, CPU seconds until now, and memory."""
        return self.healthy_s, self.cpu_s(), *self.memory_mb()

    def cpus_s(self) -> tuple[float, ...]:
        """What each of its roots, the gateway's before the registry's, has spent until now, with what it started."""
        found = []
        for pid in self.pids:
            root = psutil.Process(pid)
            spent = [one.cpu_times() for one in (root, *root.children(recursive=True))]
            found.append(sum(t.user + t.system for t in spent))
        return tuple(found)

    def cpu_s(self) -> float:
        """What its processes have spent until now, those that have ended with them."""
        spent = [p.cpu_times() for p in self.family()]
        roots = [psutil.Process(pid).cpu_times() for pid in self.pids]
        ended = sum(t.children_user + t.children_system for t in roots)
        return sum(t.user + t.system for t in spent) + ended


def now_ms() -> int:
    return int(time.time() * 1000)


@contextmanager
def ours(folder: Path, runs: int = 0, models: int = 0) -> Iterator[Server]:
    """Registry and gateway, as `modelog up` starts them."""
    signer = TokenSigner(create_key_pair(folder / "signing.pem", folder / "public.pem"), SystemClock())
    write_secret(folder / "data" / "keys" / "master.key", new_master_key().encode())
    ports = {"gateway": free_port(), "registry": free_port()}
    http_port = free_port()
    processes = []
    began = time.perf_counter()
    for name, port in ports.items():
        token = folder / f"{name}.token"
        token.write_text(signer.sign(Identity(f"service:{name}", "default", frozenset({"service"})), timedelta(1)))
        environment = {
            **os.environ,
            "MODELOG_DATA_DIR": str(folder / "data"),
            "MODELOG_GRPC_PORT": str(port),
            "MODELOG_HTTP_PORT": str(http_port if name == "gateway" else 0),
            "MODELOG_PEERS": json.dumps({n: f"127.0.0.1:{p}" for n, p in ports.items()}),
            "MODELOG_PUBLIC_KEY_FILE": str(folder / "public.pem"),
            "MODELOG_SIGNING_KEY_FILE": str(folder / "signing.pem"),
            "MODELOG_SERVICE_TOKEN_FILE": str(token),
        }
        log = (folder / f"{name}.log").open("wb")
        processes.append(subprocess.Popen([sys.executable, "-m", f"modelog_{name}"], env=environment, stderr=log))
    token_text = signer.sign(Identity("alice", "default", frozenset({"admin"})), timedelta(days=1))
    try:
        # The first answer that needs both.
        healthy_s = healthy(f"http://127.0.0.1:{http_port}{API}/experiments/get?experiment_id=0", token_text, began)
        server = Server("modelog", http_port, token_text, healthy_s, [p.pid for p in processes])
        yield server
    finally:
        stop(processes)


@contextmanager
def peer(folder: Path, runs: int, models: int) -> Iterator[Server]:
    """`mlflow server` with SQLite, as its documentation starts it."""
    python = python_environment(servers_home() / "mlflow-server", PEER.encode(), [PEER])
    port = free_port()
    database, files_ = f"sqlite:///{folder}/mlflow.db", f"{folder}/files"
    counts = [str(n) for n in (runs, METRICS, models, VERSIONS)]
    fill = [python, Path(__file__).parent / "mlflow_filled.py", database, files_, *counts]
    searched = subprocess.run(fill, check=True, capture_output=True, text=True, cwd=folder).stdout.split()[-1]
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", database, "--artifacts-destination", files_]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{python.parent}:{os.environ['PATH']}"}
    log = (folder / "mlflow.log").open("wb")
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        healthy_s = healthy(f"http://127.0.0.1:{port}{API}/experiments/get?experiment_id=0", "", began)
        yield Server("mlflow", port, "", healthy_s, [process.pid], searched)
    finally:
        stop([process])


def healthy(url: str, token: str, began: float) -> float:
    """Seconds until the first good answer."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310
    while time.perf_counter() - began < START_S:
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310
                return time.perf_counter() - began
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"no answer from {url} within {START_S:.0f} s")


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    families = [p for process in processes for p in psutil.Process(process.pid).children(recursive=True)]
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
    for child in psutil.wait_procs(families, timeout=10)[1]:
        child.kill()


def files(server: Server, folder: Path, size_mb: int) -> tuple[float, float]:
    """MB a second up and down, of one file by one client."""
    run_id = server.run("0")
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/large.bin"
    headers = {"Authorization": f"Bearer {server.token}"}
    connection = http.client.HTTPConnection(*server.address, timeout=600, blocksize=1024 * 1024)
    with (folder / "large.bin").open("rb") as content:
        began = time.perf_counter()
        connection.request("PUT", path, content, headers | {"Content-Length": str(size_mb * MB)})
        answer = connection.getresponse()
        answer.read()
        up_s = time.perf_counter() - began
    began = time.perf_counter()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    left = size_mb * MB
    while part := answer.read(MB):
        left -= len(part)
    if answer.status != 200 or left:
        raise RuntimeError(f"{server.name} answered {answer.status}, and {left} bytes are missing")
    return size_mb / up_s, size_mb / (time.perf_counter() - began)


def copied(folder: Path, size_mb: int) -> float:
    """MB a second of `cp`, down to the disk."""
    began = time.perf_counter()
    subprocess.run(["cp", folder / "large.bin", folder / "copy.bin"], check=True)
    with (folder / "copy.bin").open("rb+") as copy:
        os.fsync(copy.fileno())
    return size_mb / (time.perf_counter() - began)
