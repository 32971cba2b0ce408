"""A Ray of a test session's own: `python ray_head.py FOLDER CPUS PORT` says where its head is, and lives until it is
told to end. What nothing here asks, Ray's dashboard and its monitors, is not started."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "300"}

from modelog_platform.parts.ports import free_ports
from ray._private import services
from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._private.ray_constants import PROCESS_TYPE_RAYLET

for start in ("start_api_server", "start_log_monitor", "start_monitor"):
    setattr(Node, start, lambda self, **_: None)


def main() -> None:
    folder, cpus, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # A raylet gives up when the ports that its agents choose are not there after 15 s; those it is told it
    # does not wait for. One of them Ray forgets to tell.
    metrics, exported, listening, environments = free_ports(4)
    _tell_the_raylet(f"--dashboard_agent_listen_port={listening}")
    parameters = RayParams(
        gcs_server_port=port,
        num_cpus=cpus,
        num_gpus=0,
        object_store_memory=80_000_000,
        temp_dir=folder,
        include_dashboard=False,
        metrics_agent_port=metrics,
        metrics_export_port=exported,
        dashboard_agent_listen_port=listening,
        runtime_env_agent_port=environments,
        _system_config={"prestart_worker_first_driver": False},
    )
    node = Node(parameters, head=True, shutdown_at_exit=True)
    print(node.gcs_address, flush=True)
    threading.Event().wait()


def _tell_the_raylet(option: str) -> None:
    plain = services.start_ray_process

    def start_ray_process(command: list[str], process_type: str, *others: Any, **named: Any) -> Any:
        more = [option] if process_type == PROCESS_TYPE_RAYLET else []
        return plain([*command, *more], process_type, *others, **named)

    services.start_ray_process = start_ray_process


if __name__ == "__main__":
    main()
