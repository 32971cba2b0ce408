"""A platform of the tests' own: started by `modelog up --detach`, used through its command line and its SDK."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import modelog
from modelog.cli.main import app as command_line
from typer.testing import CliRunner

T = TypeVar("T")
SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
PARTS = ("broker", "graph")
POLL_S = 0.05
READY_S = 720.0
DOWN_S = 300.0


def until(what: str, condition: Callable[[], T], timeout_s: float = 150.0) -> T:
    """Wait until `condition` gives something true, and return it; fails with what was waited for and seen last."""
    deadline = time.monotonic() + timeout_s
    seen: object = None
    while time.monotonic() < deadline:
        try:
            found = condition()
        except modelog.Unavailable as error:
            seen = error
        else:
            if found:
                return found
            seen = found
        time.sleep(POLL_S)
    raise AssertionError(f"{what}: not within {timeout_s:g} s; seen last: {seen!r}")


class RunningPlatform:
    """One platform in `folder`, with a profile of its own; nothing of the machine's user is read or written."""

    def __init__(self, folder: Path, profile: str = "embedded", parts: Sequence[str] = PARTS) -> None:
        self.folder, self.stands_on, self.parts = folder, profile, parts
        self.data_dir = folder / "data"
        self.environment = {**os.environ, "MODELOG_PROFILE": str(folder / "profile.json"), "COLUMNS": "200"}
        for name in ("MODELOG_URL", "MODELOG_TOKEN", "MODELOG_USER", "MODELOG_HOME"):
            self.environment.pop(name, None)

    def cli(
        self, *arguments: str, user: str = "", exit_status: int | None = 0, timeout_s: float = 150.0
    ) -> subprocess.CompletedProcess[str]:
        """Run `modelog ...`, as one of the users whose tokens the profile remembers; checks the exit status."""
        environment = {**self.environment, **({"MODELOG_USER": user} if user else {})}
        done = subprocess.run(
            [sys.executable, "-m", "modelog.cli.main", *arguments],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        said = f"modelog {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert exit_status in (None, done.returncode), said
        return done

    def json(self, *arguments: str, user: str = "") -> Any:
        """What `modelog ... --json` prints: the same command, in this process, since many are asked."""
        environment = {"MODELOG_PROFILE": str(self.folder / "profile.json"), "MODELOG_USER": user or None}
        done = CliRunner().invoke(command_line, [*arguments, "--json"], env=environment)
        assert done.exit_code == 0, f"modelog {' '.join(arguments)}: {done.output}"
        return json.loads(done.stdout)

    def up(self) -> None:
        where = ("--data-dir", str(self.data_dir), "--profile", self.stands_on)
        self.cli("up", "--detach", "--port", "0", *where, timeout_s=READY_S)

    def down(self) -> None:
        self.cli("down", "--data-dir", str(self.data_dir), timeout_s=DOWN_S)

    @property
    def profile(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "profile.json").read_text()))

    @property
    def endpoints(self) -> dict[str, str]:
        return dict(self.profile["endpoints"])

    def client(self, user: str = "admin") -> modelog.Client:
        """The SDK, as one of the users whose tokens the profile remembers."""
        return modelog.Client(self.endpoints["web"], self.profile["users"][user])

    def person(self, name: str, *roles: str) -> modelog.Client:
        """A new user, and the SDK as them."""
        with self.client() as admin:
            admin.users.create(name, roles)
            return modelog.Client(self.endpoints["web"], admin.users.token(name).token)

    def process(self, name: str) -> dict[str, Any]:
        """What the supervisor says of a process: pid, state, restarts, last_exit."""
        state = json.loads((self.data_dir / "run" / "state.json").read_text())
        return dict(state["processes"][name])

    def kill(self, name: str) -> int:
        """kill -9; returns how often the process had been started again until then."""
        before = self.process(name)
        os.kill(before["pid"], signal.SIGKILL)
        return int(before["restarts"])

    def until_back(self, name: str, restarts: int) -> None:
        """Wait until the supervisor has started a killed process again, and finds it healthy."""

        def back() -> bool:
            now = self.process(name)
            return now["restarts"] > restarts and now["state"] == "healthy"

        until(f"{name} is healthy again after kill -9", back, READY_S)

    def all_healthy(self) -> bool:
        """Whether the supervisor finds every process healthy."""
        return all(self.process(name)["state"] == "healthy" for name in (*self.parts, *SERVICES))

    def until_projected(self) -> int:
        """Wait until every projection of every service has reached the end of the log; returns that position."""
        with self.client() as admin:

            def reached() -> int:
                head = admin.audit.head()
                services = admin.services()
                assert len(services) == len(SERVICES), services
                positions = [p.position for s in services if s.status for p in s.status.projections]
                everywhere = all(s.status for s in services) and min(positions) >= head
                return head if everywhere and admin.audit.head() == head else 0

            return until("every projection has reached the end of the log", reached, 300.0)
