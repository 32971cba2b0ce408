"""What is known of one server: how to install it, prepare its folder, start it, ask whether it serves, and stop it."""

from __future__ import annotations

import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK

# Told each step of an installation that takes a while.
Say = Callable[[str], None]
ANSWER_TIMEOUT_S = 1.0
CHECKOUT_MARK = "uv.lock"


@dataclass(frozen=True)
class Site:
    """Where one server runs. The first port is the one that clients use."""

    home: Path
    folder: Path
    ports: tuple[int, ...]
    password: str

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def data(self) -> Path:
        return self.folder / "data"


def nothing_to_prepare(site: Site) -> None:
    """For servers that need only their command."""


def no_environment(site: Site) -> Mapping[str, str]:
    """For servers that need no variables."""
    return {}


@dataclass(frozen=True)
class Recipe:
    """How one server is had. `address` is what clients are told; `prepare` may be called before every start."""

    name: str
    title: str
    user: str
    install: Callable[[Path, Say], None]
    command: Callable[[Site], list[str]]
    serves: Callable[[Site], bool]
    address: Callable[[Site], str]
    prepare: Callable[[Site], None] = nothing_to_prepare
    environment: Callable[[Site], Mapping[str, str]] = no_environment
    ports: int = 1
    stop_signal: signal.Signals = signal.SIGTERM
    account: str = field(default="", metadata={"why": "the account that root runs it as, when it refuses root"})


def servers_home() -> Path:
    """Where servers are installed: MODELOG_SERVERS_DIR, or `.servers` in the checkout, or else the user's cache."""
    named = os.environ.get("MODELOG_SERVERS_DIR")
    if named:
        return Path(named).absolute()
    checkout = next((folder for folder in Path(__file__).parents if (folder / CHECKOUT_MARK).is_file()), None)
    return checkout / ".servers" if checkout else Path.home() / ".cache" / "modelog" / "servers"


def answers(port: int, send: bytes, good: Callable[[bytes], bool]) -> bool:
    """Whether a server greets, or answers the first bytes of its protocol, as it does once it takes clients."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_TIMEOUT_S) as connection:
            connection.sendall(send)
            return good(connection.recv(4096))
    except OSError:
        return False


def http_ok(port: int, path: str) -> bool:
    """Whether a GET is answered with a status below 400."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=ANSWER_TIMEOUT_S):
            return True
    except (OSError, urllib.error.URLError):
        return False
