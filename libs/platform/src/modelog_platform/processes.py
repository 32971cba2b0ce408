"""Which processes a platform has: their command lines, environments and signs of health."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from modelog_common.domain.errors import Unavailable

from modelog_platform.folder import SERVICES, PlatformFolder
from modelog_platform.parts.broker import bootstrap_of, broker_command
from modelog_platform.parts.graph import USER as GRAPH_USER
from modelog_platform.parts.ports import LOOPBACK, free_ports, is_listening
from modelog_platform.profile import EMBEDDED, Profile
from modelog_platform.servers.catalogue import recipe_of
from modelog_platform.servers.recipe import Site, servers_home
from modelog_platform.servers.running import run_command

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
    servers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def endpoints(self) -> dict[str, str]:
        """Addresses as users and tools write them; those of servers without their passwords."""
        unlocked = Site(Path(), Path(), (), "***")
        return {
            "web": f"http://{LOOPBACK}:{self.gateway_http}",
            "inference_rest": f"http://{LOOPBACK}:{self.serving_http}",
            "inference_grpc": f"{LOOPBACK}:{self.serving_oip}",
            "kafka": bootstrap_of(self.broker),
            "graph": f"bolt://{LOOPBACK}:{self.graph}",
            **{name: recipe_of(name).address(replace(unlocked, ports=own)) for name, own in self.servers.items()},
        }


def choose_ports(web_port: int, profile: Profile) -> Ports:
    """Free ports for all, and `web_port` for the web page (0: any). Raises Unavailable when that one is in use."""
    if web_port and is_listening(web_port):
        raise Unavailable(
            f"port {web_port} is in use by another process; choose another with --port, or --port 0 for any"
        )
    of_servers = {name: recipe_of(name).ports for name in profile.servers}
    chosen = list(free_ports(4 + len(SERVICES) + (0 if web_port else 1) + sum(of_servers.values())))
    servers = {name: tuple(chosen.pop() for _ in range(count)) for name, count in of_servers.items()}

    def of_part(port: str) -> int:
        part = profile.behind[port]
        return chosen.pop() if part == EMBEDDED else servers[part][0]

    return Ports(
        broker=of_part("broker"),
        graph=of_part("graph"),
        serving_http=chosen.pop(),
        serving_oip=chosen.pop(),
        grpc={name: chosen.pop() for name in SERVICES},
        gateway_http=web_port or chosen.pop(),
        servers=servers,
    )


@dataclass(frozen=True)
class ProcessSpec:
    """A process to keep running.

    It is healthy when `serves` says so; without that when `port` accepts connections and, with `health`, says SERVING.
    Parts, which services stand on, are stopped after them; those with `serves` are up before any service is started.
    """

    name: str
    command: list[str]
    port: int
    health: bool
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    part: bool = False
    serves: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM


def common_settings(
    folder: PlatformFolder, ports: Ports, settings: Mapping[str, str], profile: Profile
) -> dict[str, str]:
    """What every service is told; `settings` are more MODELOG_ variables."""
    sites = {name: site_of(folder, name, own) for name, own in ports.servers.items()}
    return _common_settings(folder, ports) | profile.settings(sites) | dict(settings)


def process_specs(
    folder: PlatformFolder, ports: Ports, settings: Mapping[str, str], profile: Profile
) -> list[ProcessSpec]:
    """The parts, then the six services. `settings` are more MODELOG_ variables for every service."""
    sites = {name: site_of(folder, name, own) for name, own in ports.servers.items()}
    common = common_settings(folder, ports, settings, profile)
    services = [
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
    return [
        *_embedded_parts(folder, ports, profile),
        *(_server(folder, name, at) for name, at in sites.items()),
        *services,
    ]


def _embedded_parts(folder: PlatformFolder, ports: Ports, profile: Profile) -> list[ProcessSpec]:
    graph = [
        sys.executable, "-m", "modelog_platform.parts.graph", "--port", str(ports.graph),
        "--data", str(folder.data / "graph"), "--password-file", str(folder.secrets / "graph.password"),
    ]  # fmt: skip
    commands = {"broker": (broker_command(ports.broker), ports.broker), "graph": (graph, ports.graph)}
    return [
        ProcessSpec(name, command, port, False, folder.logs / f"{name}.log", part=True)
        for name, (command, port) in commands.items()
        if profile.behind[name] == EMBEDDED
    ]


def site_of(folder: PlatformFolder, name: str, ports: tuple[int, ...]) -> Site:
    """Where a server of this platform runs; its password is made when it has none."""
    return Site(servers_home() / name, folder.root / "servers" / name, ports, folder.password(name))


def _server(folder: PlatformFolder, name: str, site: Site) -> ProcessSpec:
    recipe = recipe_of(name)
    return ProcessSpec(
        name,
        run_command(recipe, site.folder, site.ports, folder.password_file(name)),
        site.port,
        False,
        folder.logs / f"{name}.log",
        part=True,
        serves=partial(recipe.serves, site),
        stop_signal=recipe.stop_signal,
    )


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
        "MODELOG_GRPC_EDGE": os.environ.get("MODELOG_GRPC_EDGE", ""),
        "MODELOG_GRPC_CLIENT": os.environ.get("MODELOG_GRPC_CLIENT", ""),
        # All of it is on loopback, and is watched there in the clear.
        **dict.fromkeys(("MODELOG_TLS_CERTIFICATE_FILE", "MODELOG_TLS_KEY_FILE", "MODELOG_TLS_AUTHORITY_FILE"), ""),
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
