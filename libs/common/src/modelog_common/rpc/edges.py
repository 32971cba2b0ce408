"""The two servers that speak gRPC, behind one port: grpcio's, and our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import grpc

from modelog_common.config import Edge
from modelog_common.edge.direct import Direct
from modelog_common.edge.limits import CONNECTIONS, Limits
from modelog_common.edge.server import EdgeServer
from modelog_common.rpc.pipeline import Pipeline
from modelog_common.rpc.transport import Tls

OWN: Edge = "own"
GRPCIO: Edge = "grpcio"
MESSAGE_BYTES = 32 << 20
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
)


class Server(Protocol):
    """What serves gRPC: generated code adds servicers to it."""

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None: ...

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None: ...

    def add_direct(self, path: str, direct: Direct) -> None:
        """Offer a method's calls to `direct` before its handler, where the edge has such a way."""
        ...

    async def listen(self, host: str, port: int, tls: Tls | None = None) -> int:
        """Listen and answer; returns the port. Raises OSError when the address cannot be had, Unavailable when TLS
        cannot."""
        ...

    async def stop(self, drain_s: float) -> None:
        """Take no new calls, let the running ones end for `drain_s` seconds, cancel the rest."""
        ...


class GrpcioServer:
    def __init__(self, pipeline: Pipeline, *, shared: bool = False) -> None:
        # Unless it is meant, a second process would share the port and take half the calls.
        options = (*OPTIONS, ("grpc.so_reuseport", int(shared)))
        self._server = grpc.aio.server(interceptors=[pipeline], options=options)

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        self._server.add_generic_rpc_handlers(tuple(handlers))

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        self._server.add_registered_method_handlers(service, handlers)

    def add_direct(self, path: str, direct: Direct) -> None:
        """Every call is a task of grpcio's: the handler answers all of them."""

    async def listen(self, host: str, port: int, tls: Tls | None = None) -> int:
        address = f"{host}:{port}"
        try:
            if tls is None:
                found = self._server.add_insecure_port(address)
            else:
                found = self._server.add_secure_port(address, tls.server_credentials())
        except RuntimeError as error:
            raise OSError(str(error)) from error
        await self._server.start()
        return int(found)

    async def stop(self, drain_s: float) -> None:
        await self._server.stop(drain_s)


class OwnServer(EdgeServer):
    """Our own edge, with TLS as services have it."""

    async def listen(self, host: str, port: int, tls: Tls | None = None) -> int:  # type: ignore[override]
        return await super().listen(host, port, None if tls is None else tls.grpc_context())


def server_on(edge: Edge, pipeline: Pipeline, *, shared: bool = False, connections: int = CONNECTIONS) -> Server:
    """A server whose calls go through the pipeline; a `shared` one listens on ports beside other processes that do.

    Our own edge has so many `connections` at most; grpcio knows no such limit.
    """
    if edge == GRPCIO:
        return GrpcioServer(pipeline, shared=shared)
    limits = Limits(message_bytes=MESSAGE_BYTES, connections=connections)
    return OwnServer(pipeline.around, limits, shared=shared)
