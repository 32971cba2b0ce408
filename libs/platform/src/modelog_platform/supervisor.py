"""The supervisor: starts every process, watches its health, starts it again when it dies, stops all in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc.aio
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc
from modelog_common.domain.errors import Unavailable

from modelog_platform.folder import LEAST_FREE_BYTES, PlatformFolder
from modelog_platform.lifeline import die_with
from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.processes import Ports, ProcessSpec

POLL_S = 0.1
# What starts gets so long, and so long again while it works: on a busy machine all takes its time.
START_TIMEOUT_S = 120.0
LONGEST_START_S = 600.0
# Less CPU than this in START_TIMEOUT_S use processes that only wait.
WORK_S = 6.0
STOP_TIMEOUT_S = 30.0
# A process that is busy may be late with saying that it is well.
HEALTH_S = 5.0
SERVER_START_TIMEOUT_S = 300.0
SERVER_STOP_TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
TAIL_BYTES = 2000
HOPELESS_RESTARTS = 3
Progress = Callable[[str, str], None]


@dataclass
class Running:
    """A process and how it fares."""

    spec: ProcessSpec
    process: subprocess.Popen[bytes] | None = None
    state: str = "waiting"
    restarts: int = 0
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    last_exit: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "pid": self.process.pid if self.process else None,
            "state": self.state,
            "restarts": self.restarts,
            "started_at": self.started_at,
            "last_exit": self.last_exit,
            "log": str(self.spec.log),
        }


class Supervisor:
    """Keeps a platform running in one data directory."""

    def __init__(self, folder: PlatformFolder, ports: Ports, specs: list[ProcessSpec]) -> None:
        self._folder, self._ports = folder, ports
        self._all = {spec.name: Running(spec) for spec in specs}
        self._servers = [running for running in self._all.values() if running.spec.serves]
        self._servers_serve = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ready = False
        self._changed = True
        self._start_limit_s = START_TIMEOUT_S + (SERVER_START_TIMEOUT_S if self._servers else 0)
        self._work_seen_s = 0.0

    def stop(self) -> None:
        """Begin to stop everything."""
        self._stopping.set()

    async def run(self, progress: Progress, ready: Callable[[], None]) -> None:
        """Start all, call `ready` once all are healthy, and keep them so until `stop`.

        Raises Unavailable when a process cannot be started in time; what was started is stopped.
        """
        try:
            async with asyncio.TaskGroup() as group:
                keepers = [group.create_task(self._keep(running)) for running in self._all.values()]
                keepers.append(group.create_task(self._write_state()))
                try:
                    if await self._until_healthy(progress):
                        self._ready = self._changed = True
                        ready()
                    await self._stopping.wait()
                finally:
                    self._stopping.set()
                    for keeper in keepers:
                        keeper.cancel()
        finally:
            await self._stop_all()

    async def _until_healthy(self, progress: Progress) -> bool:
        began, told = time.monotonic(), set[str]()
        while not self._stopping.is_set():
            if all(server.state == "healthy" for server in self._servers):
                self._servers_serve.set()
            for name, running in self._all.items():
                if running.state == "healthy" and name not in told:
                    told.add(name)
                    progress(name, f"{time.monotonic() - began:.1f} s")
            if len(told) == len(self._all):
                return True
            self._refuse_hopeless(time.monotonic() - began)
            await asyncio.sleep(POLL_S)
        return False

    def _refuse_hopeless(self, elapsed_s: float) -> None:
        starting = [running for running in self._all.values() if running.state != "healthy"]
        late = elapsed_s > self._start_limit_s and not self._work_goes_on(starting)
        for running in starting:
            if late or running.restarts >= HOPELESS_RESTARTS:
                raise Unavailable(
                    f"{running.spec.name} did not start (it is {running.state}, last exit status {running.last_exit}). "
                    f"{self._room()}Its log {running.spec.log} ends with:\n{tail(running.spec)}"
                )

    def _work_goes_on(self, starting: Iterable[Running]) -> bool:
        """Whether what starts has worked since this was asked last: then it gets more time."""
        seen_s = sum(cpu_s(running.process.pid) for running in starting if running.process)
        if seen_s - self._work_seen_s < WORK_S or self._start_limit_s + START_TIMEOUT_S > LONGEST_START_S:
            return False
        self._work_seen_s, self._start_limit_s = seen_s, self._start_limit_s + START_TIMEOUT_S
        return True

    def _room(self) -> str:
        """What to say of a disk that is nearly full: then no log can tell."""
        free = self._folder.free_bytes()
        if free >= LEAST_FREE_BYTES:
            return ""
        return f"The disk of {self._folder.root} has only {free // 2**20} MB left. "

    async def _keep(self, running: Running) -> None:
        """Start a process, watch it, start it again: with growing pauses while it keeps dying young."""
        if not running.spec.part:
            await self._servers_serve.wait()
        while True:
            self._start(running)
            await self._watch(running)
            if self._stopping.is_set():
                # It was cancelled too, but what asked for the process's health may have lost that.
                return
            running.last_exit = running.process.returncode if running.process else None
            lived_s = time.monotonic() - running.started_at
            running.pause_s = FIRST_PAUSE_S if lived_s > STEADY_S else min(running.pause_s * 2, LONGEST_PAUSE_S)
            running.state, running.restarts = "restarting", running.restarts + 1
            self._changed = True
            await asyncio.sleep(running.pause_s)

    def _start(self, running: Running) -> None:
        spec = running.spec
        environment = {**os.environ, **spec.environment}
        with spec.log.open("ab") as log:
            running.process = subprocess.Popen(
                spec.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                preexec_fn=partial(die_with, os.getpid(), spec.stop_signal),
            )
        running.state, running.started_at = "starting", time.monotonic()
        self._changed = True

    async def _watch(self, running: Running) -> None:
        """Returns when the process has ended, or everything is about to."""
        while not self._is_over(running):
            healthy = await is_healthy(running.spec)
            state = "healthy" if healthy else ("starting" if running.state == "starting" else "unhealthy")
            self._changed |= state != running.state
            running.state = state
            for _ in range(10 if healthy else 2):
                if self._is_over(running):
                    return
                await asyncio.sleep(POLL_S)

    def _is_over(self, running: Running) -> bool:
        return running.process is None or running.process.poll() is not None or self._stopping.is_set()

    async def _write_state(self) -> None:
        while True:
            if self._changed:
                try:
                    self._folder.write_state(self.state())
                    self._changed = False
                except OSError as error:
                    # A platform that runs goes on running; what it cannot tell now is written once there is room.
                    if not self._ready:
                        raise Unavailable(f"{self._folder.state_file} cannot be written: {error.strerror}") from error
            await asyncio.sleep(POLL_S)

    def state(self) -> dict[str, Any]:
        """What `modelog status` reads."""
        return {
            "pid": os.getpid(),
            "ready": self._ready,
            "endpoints": self._ports.endpoints(),
            "stops_within_s": 3 * STOP_TIMEOUT_S + (SERVER_STOP_TIMEOUT_S if self._servers else 0),
            "processes": {name: running.as_dict() for name, running in self._all.items()},
        }

    async def _stop_all(self) -> None:
        """Services first, so that they can drain into the parts; each gets time, then it is killed."""
        services = [running for running in self._all.values() if not running.spec.part]
        parts = [running for running in self._all.values() if running.spec.part]
        for group in (services, parts):
            await asyncio.gather(*(self._stop_one(running) for running in group))
        self._ready = False
        with suppress(OSError):  # nobody asks for the state of a platform that is down
            self._folder.write_state(self.state())

    async def _stop_one(self, running: Running) -> None:
        process = running.process
        if process is None or process.poll() is not None:
            running.state = "stopped"
            return
        process.send_signal(running.spec.stop_signal)
        try:
            await asyncio.to_thread(process.wait, SERVER_STOP_TIMEOUT_S if running.spec.serves else STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        running.state, running.last_exit = "stopped", process.returncode


async def is_healthy(spec: ProcessSpec) -> bool:
    """Whether the process does its work."""
    if spec.serves:
        return await asyncio.to_thread(spec.serves)
    if spec.health:
        return await says_serving(f"{LOOPBACK}:{spec.port}")
    try:
        # asyncio.wait_for of Python 3.11 loses a cancellation that comes together with the result.
        async with asyncio.timeout(HEALTH_S):
            _, writer = await asyncio.open_connection(LOOPBACK, spec.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def says_serving(address: str) -> bool:
    """Ask the gRPC health service of the whole process."""
    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def cpu_s(pid: int) -> float:
    """The seconds of CPU that a process and what it started have used."""
    try:
        family = [psutil.Process(pid)]
        family += family[0].children(recursive=True)
    except psutil.NoSuchProcess:
        return 0.0
    used = 0.0
    for process in family:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used


def tail(spec: ProcessSpec) -> str:
    """The end of a process's log."""
    if not spec.log.exists():
        return "(nothing)"
    return spec.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip() or "(nothing)"
