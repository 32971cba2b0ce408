"""Seconds from `modelog up` until every process is healthy, and what each takes at rest, beside an empty gRPC server.

Run: python tests/bench/bench_startup.py
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from figures import machine, median, print_table

ROUNDS = 3
REST_S = 5.0
MB = 1024 * 1024
HEALTHY = re.compile(r"\s*(\w+)\s+([\d.]+) s\s*$")
# What every service is at least: an interpreter, grpcio, a loop, a port.
EMPTY_SERVER = """
import asyncio, grpc.aio
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()
asyncio.run(main())
"""


class Started:
    """A platform that was started for one round; `healthy_s` is seconds from the command to each process' health."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        command = [sys.executable, "-m", "modelog.cli.main", "up", "--port", "0", "--data-dir", str(folder / "data")]
        environment = {**os.environ, "MODELOG_PROFILE": str(folder / "profile.json"), "PYTHONUNBUFFERED": "1"}
        began = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.healthy_s: dict[str, float] = {}
        output = self.process.stdout
        if output is None:
            raise RuntimeError("the platform has no output")
        said = []
        for line in output:
            said.append(line)
            if found := HEALTHY.match(line):
                self.healthy_s[found[1]] = time.perf_counter() - began
            if "Ready." in line:
                self.ready_s = time.perf_counter() - began
                return
        raise RuntimeError(f"modelog up ended with status {self.process.wait()}:\n{''.join(said)}")

    def pids(self) -> dict[str, int]:
        """Process ids by name; the supervisor's own too."""
        state = json.loads((self._folder / "data" / "run" / "state.json").read_text())
        return {"supervisor": state["pid"], **{name: p["pid"] for name, p in state["processes"].items()}}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)


def at_rest(pids: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Resident MB and percent of one core over five quiet seconds, a service's own children included."""
    families = {name: family_of(psutil.Process(pid), name != "supervisor") for name, pid in pids.items()}
    before = {name: cpu_s(family) for name, family in families.items()}
    time.sleep(REST_S)
    return {
        name: (sum(p.memory_info().rss for p in family) / MB, (cpu_s(family) - before[name]) / REST_S * 100)
        for name, family in families.items()
    }


def family_of(root: psutil.Process, with_children: bool) -> list[psutil.Process]:
    return [root, *(root.children(recursive=True) if with_children else ())]


def cpu_s(family: list[psutil.Process]) -> float:
    return sum(t.user + t.system for t in (p.cpu_times() for p in family))


def empty_server() -> tuple[float, float]:
    """Seconds until a gRPC server without services listens, and its resident memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", EMPTY_SERVER], stdout=subprocess.PIPE, text=True)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise RuntimeError("the empty server did not start")
    found = time.perf_counter() - began, psutil.Process(process.pid).memory_info().rss / MB
    process.terminate()
    process.communicate(timeout=60)
    return found


def main() -> None:
    print(f"Start-up of the platform: median of {ROUNDS} rounds, fresh data directories; {machine()}")
    healthy: dict[str, list[float]] = {}
    rest: dict[str, list[tuple[float, float]]] = {}
    ready, empty = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="bench-startup-") as folder:
            empty.append(empty_server())
            started = Started(Path(folder))
            try:
                ready.append(started.ready_s)
                for name, seconds in started.healthy_s.items():
                    healthy.setdefault(name, []).append(seconds)
                for name, figures in at_rest(started.pids() | {"supervisor": started.process.pid}).items():
                    rest.setdefault(name, []).append(figures)
            finally:
                started.stop()
    least_s, least_mb = median([s for s, _ in empty]), median([m for _, m in empty])
    rows = [["an empty gRPC server (limit)", f"{least_s:.1f}", f"{least_mb:.0f}", "1.0 x", ""]]
    for name, figures in rest.items():
        memory, busy = median([m for m, _ in figures]), median([b for _, b in figures])
        after = f"{median(healthy[name]):.1f}" if name in healthy else ""
        rows.append([name, after, f"{memory:.0f}", f"{memory / least_mb:.1f} x", f"{busy:.1f}"])
    total = sum(median([m for m, _ in figures]) for figures in rest.values())
    rows.append(["all, ready", f"{median(ready):.1f}", f"{total:.0f}", f"{total / least_mb:.1f} x", ""])
    columns = ["process", "healthy after s", "resident MB", "to the limit", "processor % at rest"]
    print_table("From the command line to health, all eight starting at once", columns, rows)


if __name__ == "__main__":
    main()
