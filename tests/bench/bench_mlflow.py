"""Tracking over MLflow's API: ours beside a real `mlflow server` in the same run; a load generator replays bytes.

Run: python tests/bench/bench_mlflow.py [--quick] [--alone] [--start]
`--quick` is a look at whether it works; `--alone` leaves the peer out; `--start` measures starts only. The peer is
installed, in an environment of its own, the first time. Requests are those of mlflow's client, made beforehand. What is
searched is logged through our API, and written into the peer's database. The whole takes about six minutes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from figures import machine, median, per_s, print_table, ratio
from http_load import Load, http_request, load
from modelog_common.domain.clock import SystemClock
from modelog_common.privacy.masters import new_master_key
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_platform.parts.ports import free_port
from modelog_platform.servers.packages import installing, run
from modelog_platform.servers.recipe import servers_home
from uv import find_uv_bin

API = "/api/2.0/mlflow"
PEER = "mlflow==3.17.2"
START_S = 300.0
MB = 1024 * 1024
# What is searched: runs of so many metrics, models of so many versions.
RUNS, METRICS, MODELS, VERSIONS = 10_000, 20, 1000, 5
QUICK_RUNS, QUICK_MODELS = 100, 20
STARTS = 3
FILLERS = 8
TRIES = 5


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
    ports = {"registry": free_port(), "gateway": free_port()}
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
    home = servers_home() / "mlflow-server"
    with installing(home, PEER.encode()) as missing:
        if missing:
            uv = find_uv_bin()
            run(home, [uv, "venv", "--quiet", "--python", sys.executable, "venv"])
            run(home, [uv, "pip", "install", "--quiet", "--system-certs", "--python", "venv/bin/python", PEER])
    port = free_port()
    python = home / "venv" / "bin" / "python"
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


def batch(server: Server, run_id: str, kinds: int) -> bytes:
    """1,000 points of so many metrics."""
    started = now_ms()
    metrics = [{"key": f"m{n % kinds}", "value": n * 0.37, "timestamp": started + n, "step": n} for n in range(1000)]
    return server.request("/runs/log-batch", run_id=run_id, metrics=metrics, params=[], tags=[])


def fill(server: Server, runs: int, models: int) -> str:
    """An experiment of so many runs, of 20 metrics each, and models of five versions; returns the experiment's id."""
    experiment_id = str(server.post("/experiments/create", name="search")["experiment_id"])

    def log(n: int) -> None:
        run_id = server.run(experiment_id)
        metrics = [
            {"key": f"m{m}", "value": (n * 7919 + m) % runs / runs, "timestamp": now_ms(), "step": 0}
            for m in range(METRICS)
        ]
        params = [{"key": "fold", "value": str(n % 5)}]
        server.post("/runs/log-batch", run_id=run_id, metrics=metrics, params=params)

    def register(n: int) -> None:
        server.post("/registered-models/create", name=f"model-{n}")
        for _ in range(VERSIONS):
            server.post("/model-versions/create", name=f"model-{n}", source="here")

    with ThreadPoolExecutor(FILLERS) as pool:
        list(pool.map(log, range(runs)))
        list(pool.map(register, range(models)))
    return experiment_id


def measured(server: Server, searched: str, quick: bool) -> dict[str, Load]:
    """The loads by name."""
    seconds, rounds = (0.5, 1) if quick else (1.5, 5)
    experiment_id = str(server.post("/experiments/create", name="load")["experiment_id"])
    ids = [server.run(experiment_id) for _ in range(16)]
    metric = {"key": "loss", "value": 0.25, "timestamp": now_ms(), "step": 1}
    # A peer keeps a point once: a step for every request.
    singles = [server.request("/runs/log-metric", run_id=ids[n % 16], **metric | {"step": n}) for n in range(4096)]
    start = {"experiment_id": experiment_id, "start_time": now_ms(), "run_name": "x", "tags": []}
    batches = [batch(server, run_id, 10) for run_id in ids]
    wide = [batch(server, run_id, 1000) for run_id in ids]
    search = {
        "experiment_ids": [searched],
        "filter": "metrics.m3 > 0.5 AND params.fold = '3'",
        "order_by": ["metrics.m7 DESC"],
    }
    kinds: dict[str, tuple[list[bytes], int]] = {
        "log_batch of 1,000, 1 client": (batches[:1], 1),
        "log_batch of 1,000, 8 clients": (batches, 8),
        "log_batch of 1,000 metrics, 1 client": (wide[:1], 1),
        "log_batch of 1,000 metrics, 8 clients": (wide, 8),
        "log_metric, 1 client": (singles, 1),
        "log_metric, 16 clients": (singles, 16),
        "create_run, 8 clients": ([server.request("/runs/create", **start)], 8),
        "search, 100 of the runs, 1 client": ([server.request("/runs/search", **search, max_results=100)], 1),
        "search, 1,000 of the runs, 1 client": ([server.request("/runs/search", **search, max_results=1000)], 1),
        "search of models, 100 rows, 1 client": ([server.get("/registered-models/search?max_results=100")], 1),
    }
    found: dict[str, Load] = {}
    for name, (requests, connections) in kinds.items():
        # The peer answers some of many at once with an error: its database is locked.
        may_fail = server.name != "modelog"
        loads = [load(server.address, requests, connections, seconds, may_fail=may_fail) for _ in range(rounds)]
        found[name] = sorted(loads, key=lambda one: one.per_s)[rounds // 2]
    return found


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


def told(name: str, loads: dict[str, Load], moved: tuple[float, ...]) -> None:
    """What one server came to, as soon as it is known: the other one may fail."""
    each = "; ".join(f"{kind} {one.per_s:.1f}/s" for kind, one in loads.items())
    print(f"{name}: {each}; up {moved[0]:.0f}, down {moved[1]:.0f} MB/s", flush=True)


def print_starts(rest: dict[str, tuple[float, ...]]) -> None:
    rows = [[name, *(f"{n:.1f}" for n in figures)] for name, figures in rest.items()]
    if "mlflow" in rest:
        rows.append(["mlflow to modelog", *(ratio(t, o) for o, t in zip(*rest.values(), strict=True))])
    columns = ["", "first answer after s", "CPU s", "resident MB", "MB, shared pages divided"]
    print_table("Start, and memory at rest", columns, rows)


def starts(alone: bool) -> None:
    """How long starts take and what is taken at rest: medians. The first start of each writes bytecode."""
    rest: dict[str, tuple[float, ...]] = {}
    for make in (ours,) if alone else (ours, peer):
        tries = []
        for _ in range(STARTS + 1):
            with tempfile.TemporaryDirectory(prefix="bench-mlflow-") as folder, make(Path(folder), 0, 0) as server:
                tries.append(server.at_rest())
                print(server.name, " ".join(f"{n:.1f}" for n in tries[-1]), flush=True)
        rest[server.name] = tuple(median(list(figures)) for figures in zip(*tries[1:], strict=True))
    print_starts(rest)


def main() -> None:
    # Who installs either has its bytecode; it is no part of a start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--start", action="store_true")
    asked = parser.parse_args()
    print(f"Tracking over MLflow's API; {machine()}")
    if asked.start:
        starts(asked.alone)
        return
    loads: dict[str, dict[str, Load]] = {}
    moved: dict[str, tuple[float, float]] = {}
    size_mb = 32 if asked.quick else 1024
    runs, models = (QUICK_RUNS, QUICK_MODELS) if asked.quick else (RUNS, MODELS)
    for make in (ours,) if asked.alone else (ours, peer):
        with tempfile.TemporaryDirectory(prefix="bench-mlflow-") as folder, ExitStack() as stack:
            server = stack.enter_context(make(Path(folder), runs, models))
            searched = server.searched or fill(server, runs, models)
            loads[server.name] = measured(server, searched, asked.quick)
            large = Path(folder) / "large.bin"
            large.write_bytes(os.urandom(MB) * size_mb)
            moved[server.name] = files(server, Path(folder), size_mb)
            copy_mb_s = copied(Path(folder), size_mb)
            told(server.name, loads[server.name], moved[server.name])
    rows = []
    for name, load_ in loads["modelog"].items():
        theirs = loads["mlflow"][name] if "mlflow" in loads else None
        row = [name, per_s(load_.per_s), f"{load_.p50_ms:.2f}", f"{load_.p99_ms:.2f}"]
        row += (
            [f"{theirs.per_s:.1f}", f"{theirs.p50_ms:.2f}", str(theirs.failed), ratio(load_.per_s, theirs.per_s)]
            if theirs
            else ["", "", "", ""]
        )
        rows.append(row)
    columns = ["", "requests/s", "p50 ms", "p99 ms", "mlflow's requests/s", "its p50 ms", "its failures", "to mlflow"]
    print_table("Loads (median of the rounds)", columns, rows)
    if not asked.quick:
        starts(asked.alone)
    rows = [[name, f"{up:.0f}", f"{down:.0f}", ratio(up, copy_mb_s)] for name, (up, down) in moved.items()]
    rows.append(["cp and fsync (limit)", f"{copy_mb_s:.0f}", "", ""])
    print_table(f"A file of {size_mb} MB", ["", "up MB/s", "down MB/s", "up to the limit"], rows)
    batches_per_s = loads["modelog"]["log_batch of 1,000, 1 client"].per_s
    print(f"\n  metrics a second, one client: {per_s(batches_per_s * 1000)}")


if __name__ == "__main__":
    main()
