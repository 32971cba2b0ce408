"""Small processes for a supervisor to watch, and ways to wait for what it does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from modelog_platform.folder import PlatformFolder
from modelog_platform.parts.ports import free_port
from modelog_platform.processes import Ports, ProcessSpec
from modelog_platform.supervisor import Supervisor

PATIENCE_S = 150.0
# Listens until it is told to stop; SIGUSR1 makes it deaf, as a process is that hangs.
LISTENS = """
import signal, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
signal.signal(signal.SIGUSR1, lambda *_: server.close())
print("listening", flush=True)
while server.fileno() >= 0:
    try:
        server.accept()[0].close()
    except OSError:
        pass
while True:
    signal.pause()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LISTENS
FAILS = "import sys; print('no luck today', flush=True); sys.exit(3)"
IDLES = "import signal; print('thinking', flush=True); signal.pause()"


def ports() -> Ports:
    return Ports(broker=1, graph=2, gateway_http=3, serving_http=4, serving_oip=5, grpc={})


def spec(folder: PlatformFolder, name: str, script: str) -> ProcessSpec:
    port = free_port()
    command = [sys.executable, "-c", script, str(port)]
    return ProcessSpec(name, command, port, False, folder.logs / f"{name}.log", part=name in ("broker", "graph"))


def prepared(root: Path) -> PlatformFolder:
    folder = PlatformFolder(root)
    folder.prepare()
    return folder


async def until(what: str, condition: Callable[[], bool]) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {PATIENCE_S:g} s") from None


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[list[str]]:
    """A supervisor whose processes are all healthy; gives what it told of its progress."""
    told: list[str] = []
    ready = asyncio.Event()
    task = asyncio.create_task(supervisor.run(lambda name, _: told.append(name), ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({task, waiting}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        assert ready.is_set(), f"not ready: {supervisor.state()}"
        yield told
    finally:
        waiting.cancel()
        supervisor.stop()
        await task
