"""A server that runs for its owner: started, stopped, killed and started again at the same address, with its data."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from modelog_common.domain.errors import Unavailable

from modelog_platform.lifeline import die_with
from modelog_platform.parts.ports import free_ports
from modelog_platform.servers.catalogue import recipe_of
from modelog_platform.servers.recipe import Recipe, Site, servers_home

START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.05
TAIL_BYTES = 3000
# The kernel stops a server when the thread that started it ends; this one starts them all, and ends with the process.
STARTER = ThreadPoolExecutor(1, thread_name_prefix="starter")


def run_command(recipe: Recipe, folder: Path, ports: tuple[int, ...], password_file: Path) -> list[str]:
    """The command line that prepares the folder and then becomes the server."""
    return [
        sys.executable, "-m", "modelog_platform.servers", "run", recipe.name, "--folder", str(folder),
        "--ports", ",".join(map(str, ports)), "--password-file", str(password_file),
    ]  # fmt: skip


class RunningServer:
    """One server in `folder`; its address and its password stay the same however often it is started.

    `site` and `password_file` are given for a server that has been running elsewhere, or will be.
    """

    def __init__(self, name: str, folder: Path, site: Site | None = None, password_file: Path | None = None) -> None:
        self.recipe = recipe_of(name)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "server.log"
        self.site = site or Site(
            home=servers_home() / name,
            folder=folder / "server",
            ports=free_ports(self.recipe.ports),
            password=secrets.token_hex(16),
        )
        self._password_file = password_file or folder / "password"
        if password_file is None:
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(self.site.password)
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Start it and wait until it serves; raises Unavailable, with the end of its log, when it does not."""
        command = run_command(self.recipe, self.site.folder, self.site.ports, self._password_file)
        with self.log.open("ab") as log:
            process: subprocess.Popen[Any] = STARTER.submit(
                partial(
                    subprocess.Popen,
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=partial(die_with, os.getpid(), self.recipe.stop_signal),
                )
            ).result()
        self._process = process
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.recipe.serves(self.site):
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.kill()
                why = "ended" if ended else f"did not serve within {START_TIMEOUT_S:g} s"
                said = self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
                raise Unavailable(f"{self.recipe.title} {why}; its log {self.log} ends with:\n{said}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop it in order, as its own documentation says; kill what is left of it when that takes too long."""
        self._end(gently=True)

    def kill(self) -> None:
        """kill -9 it and everything it started, and wait until they are gone."""
        self._end(gently=False)

    def restart(self) -> None:
        """Stop it in order and start it again."""
        self.stop()
        self.start()

    def _end(self, *, gently: bool) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        main = psutil.Process(self._process.pid)
        family = [main, *main.children(recursive=True)]
        if gently:
            self._process.send_signal(self.recipe.stop_signal)
            psutil.wait_procs(family, STOP_TIMEOUT_S)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, STOP_TIMEOUT_S)
        self._process.wait()
