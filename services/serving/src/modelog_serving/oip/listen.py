"""The data plane's two listeners, each on a port of its own."""

from __future__ import annotations

from collections.abc import MutableMapping

from aiohttp import web
from modelog_common.config import Settings
from modelog_common.domain.errors import Unavailable
from modelog_common.rpc.server import GrpcServer
from modelog_common.security.tokens import TokenVerifier

Endpoints = MutableMapping[str, str]


class GrpcListener:
    """A gRPC server beside the control plane's."""

    def __init__(self, settings: Settings, verifier: TokenVerifier) -> None:
        self._host, self._port, self._drain_s = settings.service_host, settings.oip_grpc_port, settings.drain_s
        self.server = GrpcServer(self._host, self._port, verifier, edge=settings.grpc_edge)

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
    """An HTTP/1.1 server."""

    def __init__(self, host: str, port: int, application: web.Application, drain_s: float) -> None:
        self._host, self._port = host, port
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=drain_s)

    async def start(self, endpoints: Endpoints, name: str) -> None:
        """Listen, and tell under `name` where; raises Unavailable when the port cannot be had."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise Unavailable(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}; "
                "choose another port with MODELOG_HTTP_PORT (0 takes a free one)"
            ) from error
        address = self._runner.addresses[0]
        endpoints[name] = f"http://{self._host}:{address[1]}"

    async def stop(self) -> None:
        """Take no new calls, and let the running ones end."""
        await self._runner.cleanup()
