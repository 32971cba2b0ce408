"""Ports on this machine: finding free ones, waiting for a server to listen."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST = 10_000
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_OUTGOING = 32_768  # where the file of Linux is not; other systems begin higher


def free_port() -> int:
    """A port on the loopback interface that nothing listened on a moment ago; see `free_ports`."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """Different free ports for servers that may stop and come back at the same ones.

    Below those that the kernel gives to outgoing connections: one of those may be a client's before the server has it,
    and a client that asks for a stopped server again and again would at some time be given the server's own port,
    connect to itself and keep the server out.
    """
    below = int(OUTGOING.read_text().split()[0]) if OUTGOING.exists() else LOWEST_OUTGOING
    found = set[int]()
    while len(found) < count:
        port = random.randrange(LOWEST, below)  # noqa: S311
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex((LOOPBACK, port)) and port not in found:
                found.add(port)
    return tuple(found)


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def wait_listening(process: subprocess.Popen[bytes], port: int, what: str, timeout_s: float = 60) -> None:
    """Wait until `process` listens on `port`; raises RuntimeError when it ends first or takes too long."""
    deadline = time.monotonic() + timeout_s
    while not is_listening(port):
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode} before it listened on port {port}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not listen on port {port} within {timeout_s:g} s")
        time.sleep(0.01)
