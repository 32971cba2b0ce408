"""Has Ray wait for its own processes for as long as they live.

By itself it gives up when its raylet is not there after 30 s, and the raylet when its agents did not choose their ports
after 15 s: on a machine that is busy they need longer, and so does every further try.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any

LONGEST_S = 300
LOOK_S = 0.1
# What Ray reads when it, or a process of its own, starts.
ENVIRONMENT = {
    "RAY_gcs_server_port_wait_time_s": str(LONGEST_S),
    # How long one question after the raylet takes, in which nobody sees that it died.
    "RAY_raylet_start_wait_time_s": "3",
    "RAY_worker_register_timeout_seconds": str(LONGEST_S),
}
# What `ray.init` starts whatever it is told: three Python processes, 6 of its 10 s of CPU, that nothing here asks.
UNUSED = ("start_api_server", "start_log_monitor", "start_monitor")


def make_patient(lives: Callable[[], bool]) -> None:
    """Change the Ray of this process, once and before its `init`; `lives` says whether its raylet runs."""
    os.environ |= ENVIRONMENT
    from ray._private import services
    from ray._private.node import Node

    for start in UNUSED:
        setattr(Node, start, lambda self, **_: None)
    services.get_node = waiting(services.get_node, lives)
    _choose_ports(Node, services)


def waiting(
    ask: Callable[..., Any], lives: Callable[[], bool], longest_s: float = LONGEST_S, look_s: float = LOOK_S
) -> Callable[..., Any]:
    """As `ask`, which raises RuntimeError while a raylet is not known: asked again up to `longest_s` while it lives.

    Raises ConnectionError once it does not: Ray itself would ask for the rest of its 30 s.
    """

    @wraps(ask)
    def patient(*arguments: Any, **named: Any) -> Any:
        over_s = time.monotonic() + longest_s
        while True:
            try:
                return ask(*arguments, **named)
            except RuntimeError as error:
                if not lives():
                    raise ConnectionError("Ray's raylet ended while it started") from error
                if time.monotonic() > over_s:
                    raise
            time.sleep(look_s)

    return patient


def _choose_ports(node: Any, services: Any) -> None:
    """Tell the raylet the ports of its agents, which it does not wait for then. One of them Ray forgets to tell."""
    begin, start, chosen = node.__init__, services.start_ray_process, list[int]()

    @wraps(begin)
    def begin_with_ports(self: Any, ray_params: Any, *others: Any, **named: Any) -> None:
        metrics, exported, listening, environments = chosen[:] = free_ports(4)
        ray_params.update_if_absent(
            metrics_agent_port=metrics,
            metrics_export_port=exported,
            dashboard_agent_listen_port=listening,
            runtime_env_agent_port=environments,
        )
        begin(self, ray_params, *others, **named)

    @wraps(start)
    def start_told(command: list[str], process_type: str, *others: Any, **named: Any) -> Any:
        from ray._private.ray_constants import PROCESS_TYPE_RAYLET

        more = [f"--dashboard_agent_listen_port={chosen[2]}"] if process_type == PROCESS_TYPE_RAYLET else []
        return start([*command, *more], process_type, *others, **named)

    node.__init__ = begin_with_ports
    services.start_ray_process = start_told


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [int(each.getsockname()[1]) for each in sockets]
