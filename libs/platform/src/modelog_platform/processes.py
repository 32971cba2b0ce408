"""Which processes an embedded platform has: their command lines, environments and signs of health."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelog_common.domain.errors import Unavailable

from modelog_platform.folder import SERVICES, PlatformFolder
from modelog_platform.parts.broker import bootstrap_of, broker_command
from modelog_platform.parts.graph import USER as GRAPH_USER
from modelog_platform.parts.ports import LOOPBACK, free_ports, is_listening

DEFAULT_PORT = 8080


@dataclass(frozen=True)
class Ports:
    """Where everything listens, on the loopback interface."""

    broker: int
    graph: int
    gateway_http: int
    serving_http: int
    serving_oip: int
    grpc: Mapping[str, int]

    def endpoints(self) -> dict[str, str]:
        """Addresses as users and tools write them."""
        return {
            "web": f"http://{LOOPBACK}:{self.gateway_http}",
            "inference_rest": f"http://{LOOPBACK}:{self.serving_http}",
            "inference_grpc": f"{LOOPBACK}:{self.serving_oip}",
            "kafka": bootstrap_of(self.broker),
            "graph": f"bolt://{LOOPBACK}:{self.graph}",
        }


def choose_ports(web_port: int) -> Ports:
    """Free ports for all, and `web_port` for the web page (0: any). Raises Unavailable when that one is in use."""
    if web_port and is_listening(web_port):
        raise Unavailable(
            f"port {web_port} is in use by another process; choose another with --port, or --port 0 for any"
        )
    chosen = list(free_ports(4 + len(SERVICES) + (0 if web_port else 1)))
    return Ports(
        broker=chosen.pop(),
        graph=chosen.pop(),
        serving_http=chosen.pop(),
        serving_oip=chosen.pop(),
        grpc={name: chosen.pop() for name in SERVICES},
        gateway_http=web_port or chosen.pop(),
    )


@dataclass(frozen=True)
class ProcessSpec:
    """A process to keep running. It is healthy when `port` accepts connections and, with `health`, says SERVING."""

    name: str
    command: list[str]
    port: int
    health: bool
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def process_specs(folder: PlatformFolder, ports: Ports, settings: Mapping[str, str]) -> list[ProcessSpec]:
    """The embedded parts, then the six services. `settings` are more MODELOG_ variables for every service."""
    graph_command = [
        sys.executable, "-m", "modelog_platform.parts.graph", "--port", str(ports.graph),
        "--data", str(folder.data / "graph"), "--password-file", str(folder.secrets / "graph.password"),
    ]  # fmt: skip
    parts = [
        ProcessSpec("broker", broker_command(ports.broker), ports.broker, False, folder.logs / "broker.log"),
        ProcessSpec("graph", graph_command, ports.graph, False, folder.logs / "graph.log"),
    ]
    common = _common_settings(folder, ports) | dict(settings)
    return parts + [
        ProcessSpec(
            name,
            [sys.executable, "-m", f"modelog_{name}"],
            ports.grpc[name],
            True,
            folder.logs / f"{name}.log",
            common | _own_settings(name, folder, ports),
        )
        for name in SERVICES
    ]


def _common_settings(folder: PlatformFolder, ports: Ports) -> dict[str, str]:
    peers = {name: f"{LOOPBACK}:{port}" for name, port in ports.grpc.items()}
    peers["serving_oip"] = f"{LOOPBACK}:{ports.serving_oip}"
    return {
        "MODELOG_DATA_DIR": str(folder.data),
        "MODELOG_KAFKA_BOOTSTRAP": bootstrap_of(ports.broker),
        "MODELOG_GRAPH_URI": f"bolt://{LOOPBACK}:{ports.graph}",
        "MODELOG_GRAPH_USER": GRAPH_USER,
        "MODELOG_GRAPH_PASSWORD": (folder.secrets / "graph.password").read_text().strip(),
        "MODELOG_PEERS": json.dumps(peers),
        "MODELOG_PUBLIC_KEY_FILE": str(folder.secrets / "public.pem"),
        "MODELOG_SIGNING_KEY_FILE": str(folder.secrets / "signing.pem"),
        "MODELOG_MASTER_KEY": f"file://{folder.secrets / 'master.key'}",
        "MODELOG_LOG_LEVEL": os.environ.get("MODELOG_LOG_LEVEL", "warning"),
        # Threads of one computation that wait for each other by spinning starve the other processes of a small machine:
        # a fit of 2 s took 178 s on 2 busy cores.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
    }


def _own_settings(name: str, folder: PlatformFolder, ports: Ports) -> dict[str, str]:
    own = {
        "MODELOG_GRPC_PORT": str(ports.grpc[name]),
        "MODELOG_SERVICE_TOKEN_FILE": str(folder.secrets / f"{name}.token"),
    }
    if name == "gateway":
        own["MODELOG_HTTP_PORT"] = str(ports.gateway_http)
    if name == "serving":
        own["MODELOG_HTTP_PORT"] = str(ports.serving_http)
        own["MODELOG_OIP_GRPC_PORT"] = str(ports.serving_oip)
    return own
