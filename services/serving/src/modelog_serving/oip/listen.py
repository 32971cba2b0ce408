"""The data plane's two listeners, each on a port of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import MutableMapping

from modelog_common.config import Settings
from modelog_common.domain.errors import Unavailable
from modelog_common.edge.crowded import limited
from modelog_common.edge.http1 import Direct, Http1
from modelog_common.edge.http1_whole import PATIENCE_S, Whole
from modelog_common.edge.shared_port import SharedListener
from modelog_common.rpc.server import GrpcServer
from modelog_common.rpc.transport import Tls
from modelog_common.security.tokens import TokenVerifier

from modelog_serving.oip.rest_edge import MAX_BODY_BYTES, RestEdge, refused

BACKLOG = 1024
CROWDED = refused(503, "too many connections; try again later, or with one that stays open", {"Retry-After": "1"})
Endpoints = MutableMapping[str, str]


class GrpcListener:
    """A gRPC server beside the control plane's; a `shared` one has a part of what comes to its port."""

    def __init__(self, settings: Settings, verifier: TokenVerifier, tls: Tls | None, *, shared: bool = False) -> None:
        self._host, self._port, self._drain_s = settings.service_host, settings.oip_grpc_port, settings.drain_s
        self.server = GrpcServer(
            self._host,
            self._port,
            verifier,
            edge=settings.grpc_edge,
            tls=None if tls is None else tls.open,
            shared=shared,
            connections=settings.connections,
        )

    async def start(self, endpoints: Endpoints, name: str) -> None:
        """Listen, and tell under `name` where; raises Unavailable when the port cannot be had."""
        try:
            port = await self.server.start()
        except Unavailable as error:
            raise Unavailable(
                f"cannot listen on {self._host}:{self._port} for the Open Inference Protocol; "
                "choose another port with MODELOG_OIP_GRPC_PORT (0 takes a free one)"
            ) from error
        endpoints[name] = f"{self._host}:{port}"

    async def stop(self) -> None:
        """Take no new calls, and let the running ones end."""
        await self.server.stop(self._drain_s)


class HttpListener:
    """An HTTP/1.1 server: plain requests take the short way, all others the long one to the same handlers.

    A `shared` one has a part of what comes to its port.
    """

    def __init__(
        self,
        settings: Settings,
        edge: RestEdge,
        direct: Direct,
        tls: Tls | None,
        patience_s: float = PATIENCE_S,
        *,
        shared: bool = False,
    ) -> None:
        self._host, self._port, self._drain_s = settings.service_host, settings.http_port, settings.drain_s
        self._tls = tls
        self._whole = Whole(edge.find, refused, MAX_BODY_BYTES, patience_s=patience_s)
        self._front = Http1(edge.plain, self._whole.connection, MAX_BODY_BYTES, patience_s=patience_s, direct=direct)
        self._connection = limited(self._front.connection, self._open, settings.connections, CROWDED)
        self._server: asyncio.Server | None = None
        self._shared = shared
        self._beside: SharedListener | None = None

    async def start(self, endpoints: Endpoints, name: str) -> None:
        """Listen, and tell under `name` where; raises Unavailable when the port cannot be had."""
        context = None if self._tls is None else self._tls.http_context()
        try:
            port = await self._listen(context)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}; "
                "choose another port with MODELOG_HTTP_PORT (0 takes a free one)"
            ) from error
        scheme = "http" if context is None else "https"
        endpoints[name] = f"{scheme}://{self._host}:{port}"

    def _open(self) -> int:
        return len(self._front.connections) + len(self._whole.connections)

    async def _listen(self, context: ssl.SSLContext | None) -> int:
        if self._shared:
            self._beside = await SharedListener.open(self._connection, self._host, self._port, BACKLOG, context)
            return self._beside.port
        self._server = await asyncio.get_running_loop().create_server(
            self._connection, self._host, self._port, backlog=BACKLOG, ssl=context
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no new calls, and let the running ones end."""
        if self._beside is not None:
            await self._beside.close()
        elif self._server is not None:
            self._server.close()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._front.stop(self._drain_s))
            group.create_task(self._whole.stop(self._drain_s))
