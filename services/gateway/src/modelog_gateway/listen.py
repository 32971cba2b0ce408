"""Listens for HTTP: the plain calls of MLflow's clients are answered at once, everything else by aiohttp."""

from __future__ import annotations

import asyncio

from aiohttp import web
from modelog_common.domain.errors import Overloaded, Unavailable
from modelog_common.edge.crowded import limited
from modelog_common.edge.http1 import Http1
from modelog_common.edge.http1_answer import Answer
from modelog_common.service import VERSION, Host

from modelog_gateway.mlflow.app import REGISTRY
from modelog_gateway.mlflow.direct import direct
from modelog_gateway.rest.app import BODY_LIMIT_BYTES, build_app
from modelog_gateway.rest.problems import CONTENT_TYPE, problem

# A parameter of 4,096 characters, each of four bytes, takes 48 KiB in a path or query.
LINE_BYTES = 64 * 1024
DRAIN_S = 1.0
BACKLOG = 128


def crowded() -> Answer:
    """For who comes when there are as many connections as may be: a problem document."""
    told = problem(Overloaded("too many connections; try again later, or with one that stays open"), "", 503)
    return Answer(told.body, 503, CONTENT_TYPE, {"Retry-After": "1"})  # type: ignore[arg-type]


async def start_http(host: Host) -> None:
    """Stops with the process."""
    discovery = {f"{name}_grpc": address for name, address in host.settings.peers.items()}
    discovery |= {"version": VERSION, "kafka": host.settings.kafka_bootstrap}
    app = build_app(host.peer, host.verifier, VERSION, discovery)
    # A caller who goes away takes the call along: a broken upload stores nothing, a closed page ends its stream.
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=DRAIN_S, handler_cancellation=True, max_line_size=LINE_BYTES
    )
    await runner.setup()
    others = runner.server
    if others is None:
        raise RuntimeError("aiohttp has no server after its set-up")
    front = Http1(direct(app[REGISTRY], host.verifier), others, BODY_LIMIT_BYTES)

    def connections() -> int:
        return len(front.connections) + len(others.connections)

    make = limited(front.connection, connections, host.settings.connections, crowded())
    place = (host.settings.service_host, host.settings.http_port)
    context = None if host.tls is None else host.tls.http_context()
    try:
        server = await asyncio.get_running_loop().create_server(make, *place, backlog=BACKLOG, ssl=context)
    except OSError as error:
        raise Unavailable(f"the gateway cannot listen on {place[0]}:{place[1]}: {error.strerror}") from error

    async def stop() -> None:
        server.close()
        async with asyncio.TaskGroup() as group:
            group.create_task(front.stop(DRAIN_S))
            group.create_task(runner.cleanup())

    host.on_stop(stop)
    scheme = "http" if context is None else "https"
    host.endpoints["http"] = f"{scheme}://{place[0]}:{server.sockets[0].getsockname()[1]}"
