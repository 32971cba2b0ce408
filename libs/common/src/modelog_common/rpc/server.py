"""The gRPC server of a service process: every call goes through the pipeline; health and reflection are on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from modelog_common.config import Edge
from modelog_common.domain.errors import Unavailable
from modelog_common.edge.direct import Direct
from modelog_common.edge.limits import CONNECTIONS
from modelog_common.rpc.edges import OWN, server_on
from modelog_common.rpc.methods import Method, methods_of
from modelog_common.rpc.pipeline import Guard, Pipeline, Veil
from modelog_common.rpc.transport import Tls
from modelog_common.security.tokens import TokenVerifier

UNARY_DEADLINE_S = 60.0
HEALTH = "grpc.health.v1.Health"


class GrpcServer:
    """Add servicers, then `start`, then `stop`. The health answer is "serving" between the two.

    Calls whose client set no deadline get `unary_deadline_s`; streams get none. A `shared` one listens on a port beside
    other processes that do.
    """

    def __init__(
        self,
        host: str,
        port: int,
        verifier: TokenVerifier,
        *,
        unary_deadline_s: float = UNARY_DEADLINE_S,
        edge: Edge = OWN,
        tls: Tls | None = None,
        shared: bool = False,
        connections: int = CONNECTIONS,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._methods: dict[str, Method] = {}
        self._services: list[str] = []
        self._health = health.HealthServicer()
        self._pipeline = Pipeline(verifier, self._methods, unary_deadline_s)
        self._server = server_on(edge, self._pipeline, shared=shared, connections=connections)

    def guard(self, check: Guard) -> None:
        """Check every request that is one message, as its caller, when its fields are known to be sound."""
        self._pipeline.guard = check

    def veil(self, left_of: Veil) -> None:
        """Send of every answer that is one message what is left of it for its caller."""
        self._pipeline.veil = left_of

    def add(
        self,
        adder: Callable[[Any, Any], None],
        servicer: object,
        full_name: str,
        *,
        permission: str = "",
        validated: bool = True,
    ) -> None:
        """Serve a servicer; `full_name` is the service's name in the proto, with its package.

        Contracts that are not ours name no permissions: `permission` is what their methods need ("public" for none).
        `validated=False` spares their messages our default limits.
        """
        self._methods.update(methods_of(full_name, permission=permission, validated=validated))
        self._services.append(full_name)
        adder(servicer, self._server)

    def add_direct(self, path: str, direct: Direct) -> None:
        """Offer a method's calls to `direct` first, with nothing of the pipeline around it; only our own edge does.

        It must tell the metrics and the log itself, and leave whatever it cannot answer to the servicer.
        """
        self._server.add_direct(path, direct)

    async def start(self) -> int:
        """Listen and answer; returns the port. Raises Unavailable when the address cannot be had."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [*self._services, HEALTH, reflection.SERVICE_NAME]
        reflected = reflection.aio.ReflectionServicer(names)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, self._server)
        try:
            port = await self._server.listen(self._host, self._port, self._tls)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {self._host}:{self._port}: the port is in use or the address is not this machine's; "
                "choose others with MODELOG_GRPC_PORT (0 takes a free port) and MODELOG_SERVICE_HOST"
            ) from error
        await self.set_serving(True)
        return port

    async def set_serving(self, serving: bool) -> None:
        """What the health service answers, for the process ("") and for each service."""
        status = health_pb2.HealthCheckResponse
        for name in ("", *self._services):
            await self._health.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def stop(self, drain_s: float) -> None:
        """Say "not serving", take no new calls, let the running ones end for `drain_s` seconds, cancel the rest."""
        await self.set_serving(False)
        await self._server.stop(drain_s)
