"""`modelog up` and `modelog down`: start a platform here or in the background, and stop it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from modelog.config import read_profile, write_profile
from modelog_common.config import PREFIX
from modelog_common.domain.errors import NotFound, Unavailable

from modelog_platform.folder import PlatformFolder
from modelog_platform.processes import choose_ports, common_settings, process_specs
from modelog_platform.profile import load_profile
from modelog_platform.servers.catalogue import install
from modelog_platform.supervisor import (
    LONGEST_START_S,
    SERVER_START_TIMEOUT_S,
    STOP_TIMEOUT_S,
    Progress,
    Supervisor,
)

# The supervisor gives up before, and says why.
DETACHED_TIMEOUT_S = LONGEST_START_S + 60.0
POLL_S = 0.1


def up(
    root: Path,
    port: int,
    progress: Progress,
    ready: Callable[[Mapping[str, str]], None],
    settings: Mapping[str, str] | None = None,
    profile: str = "embedded",
) -> None:
    """Run a platform until SIGTERM or SIGINT. Raises Unavailable when it cannot start, Invalid for a wrong profile."""
    wanted = load_profile(profile)
    install(wanted.servers, progress)
    folder = PlatformFolder(root.absolute())
    folder.prepare()
    lock = folder.lock()
    try:
        ports = choose_ports(port, wanted)
        folder.keep_log_in(wanted.behind["events"])
        folder.keep_blobs_in(wanted.behind["blobs"])
        inherited = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
        folder.write_settings(inherited | common_settings(folder, ports, settings or {}, wanted))
        supervisor = Supervisor(folder, ports, process_specs(folder, ports, settings or {}, wanted))
        asyncio.run(_run(supervisor, folder, progress, ready))
    finally:
        os.close(lock)


async def _run(
    supervisor: Supervisor, folder: PlatformFolder, progress: Progress, ready: Callable[[Mapping[str, str]], None]
) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)

    def tell() -> None:
        endpoints = supervisor.state()["endpoints"]
        remember(folder, endpoints)
        ready(endpoints)

    try:
        await supervisor.run(progress, tell)
    except* (Unavailable, OSError) as group:
        raise first_of(group) from None


def first_of(group: BaseExceptionGroup[Unavailable | OSError]) -> Unavailable:
    """The first error of a group, as one that can be told: the operating system's becomes one that names the file."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Unavailable) else Unavailable(f"the platform cannot run: {error}")


def remember(folder: PlatformFolder, endpoints: Mapping[str, str]) -> None:
    """Make this platform the one that `modelog` talks to."""
    client = {"url": endpoints["web"], "user": "admin", "users": {"admin": folder.admin_token()}}
    write_profile(client | {"data_dir": str(folder.root), "endpoints": dict(endpoints)})


def start_detached(root: Path, port: int, progress: Progress, profile: str = "embedded") -> Mapping[str, str]:
    """Start a platform in the background and wait until it is ready; returns its endpoints.

    Raises Unavailable with the supervisor's own words when it does not come up, Invalid for a wrong profile.
    """
    servers = load_profile(profile).servers
    install(servers, progress)
    folder = PlatformFolder(root.absolute())
    folder.prepare()
    log = folder.logs / "supervisor.log"
    command = [sys.executable, "-m", "modelog_platform", "--data-dir", str(folder.root), "--port", str(port)]
    command += ["--profile", profile]
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    told = set[str]()
    limit_s = DETACHED_TIMEOUT_S + (SERVER_START_TIMEOUT_S if servers else 0)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_bytes()[before:].decode(errors="replace").strip().removeprefix("modelog up: ")
            raise Unavailable(said or f"the supervisor ended with status {process.returncode} and said nothing")
        state = folder.read_state()
        if state.get("pid") == process.pid:
            for name, one in state["processes"].items():
                if one["state"] == "healthy" and name not in told:
                    told.add(name)
                    progress(name, "healthy")
            if state["ready"]:
                return dict(state["endpoints"])
        time.sleep(POLL_S)
    process.terminate()
    process.wait()
    raise Unavailable(f"the platform was not ready within {limit_s:g} s; see {folder.logs}")


def down(root: Path | None) -> Path:
    """Stop the platform of a data directory (or of the profile); returns it. Raises NotFound when none runs."""
    folder = PlatformFolder((root or Path(str(read_profile().get("data_dir", ".modelog")))).absolute())
    pid = folder.holder()
    if pid is None:
        raise NotFound(f"no platform runs in {folder.root}")
    os.kill(pid, signal.SIGTERM)
    limit_s = float(folder.read_state().get("stops_within_s", 3 * STOP_TIMEOUT_S))
    deadline = time.monotonic() + limit_s
    while folder.holder() == pid:
        if time.monotonic() > deadline:
            raise Unavailable(f"process {pid} did not stop within {limit_s:g} s; see {folder.logs}")
        time.sleep(POLL_S)
    return folder.root
