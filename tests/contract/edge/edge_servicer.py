"""A servicer of all four kinds of methods whose messages are bytes, and the two edges that serve it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from modelog_common.edge.limits import Limits
from modelog_common.edge.server import EdgeServer

SERVICE = "modelog.tests.Edge"
MESSAGE_BYTES = 32 << 20
OPTIONS = (("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES))


class Servicer:
    def __init__(self) -> None:
        self.entered, self.cancelled, self.left, self.release = (asyncio.Event() for _ in range(4))
        self.running = 0
        self.most_running = 0
        self.written = 0
        self.remaining: float | None = None
        self.contexts: list[Any] = []

    async def Echo(self, request: bytes, context: Any) -> bytes:
        return request

    async def Held(self, request: bytes, context: Any) -> bytes:
        """Answers when it is released."""
        self.remaining = context.time_remaining()
        self.contexts.append(context)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.running -= 1
        return request

    async def Metadata(self, request: bytes, context: Any) -> bytes:
        """Sends back what begins with x-, before and after the answer."""
        given = [(name, value) for name, value in context.invocation_metadata() if name.startswith("x-")]
        await context.send_initial_metadata(tuple(given))
        context.set_trailing_metadata(tuple((f"{name[:-4]}-back-bin", value) if name.endswith("-bin")
                                            else (f"{name}-back", value) for name, value in given))  # fmt: skip
        return b"agent" if any(name == "user-agent" for name, _ in context.invocation_metadata()) else b""

    async def Abort(self, request: bytes, context: Any) -> bytes:
        trailing = (("x-why", "asked"), ("grpc-status-details-bin", bytes(range(256))))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.decode(), trailing)
        raise AssertionError("abort does not return")

    async def Coded(self, request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.DATA_LOSS)
        context.set_details("lost")
        raise ValueError("secret")

    async def Broken(self, request: bytes, context: Any) -> bytes:
        raise ValueError("broken")

    async def Compressed(self, request: bytes, context: Any) -> bytes:
        context.set_compression(grpc.Compression.Gzip)
        return request

    async def Mixed(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Each as it comes, but the second not compressed."""
        context.set_compression(grpc.Compression.Gzip)
        for number in range(3):
            if number == 1:
                context.disable_next_message_compression()
            yield request

    async def Peer(self, request: bytes, context: Any) -> bytes:
        names = context.auth_context().get("x509_common_name", [])
        return context.peer().encode() + b" " + b",".join(names)

    def Plain(self, request: bytes, context: Any) -> bytes:
        """What generated base classes have for methods that a servicer lacks."""
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError

    async def Count(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()

    async def Fill(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Without end."""
        try:
            while True:
                yield request
                self.written += 1
        finally:
            self.left.set()

    async def Write(self, request: bytes, context: Any) -> None:
        for number in range(int(request)):
            await context.write(str(number).encode())
        if int(request) == 0:
            context.set_code(grpc.StatusCode.OUT_OF_RANGE)
            context.set_details("none")

    async def Join(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([request async for request in requests])

    async def First(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        """Answers before the requests have ended."""
        return await anext(requests)

    async def Slow(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        """Takes no request before it is released."""
        self.entered.set()
        await self.release.wait()
        return str(sum([len(request) async for request in requests])).encode()

    async def Each(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            if request == b"abort":
                await context.abort(grpc.StatusCode.ABORTED, "as asked")
            yield request

    async def Read(self, requests: AsyncIterator[bytes], context: Any) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request)


UNARY = ("Echo", "Held", "Metadata", "Abort", "Coded", "Broken", "Compressed", "Peer", "Plain")
KINDS = {
    grpc.unary_unary_rpc_method_handler: UNARY,
    grpc.unary_stream_rpc_method_handler: ("Count", "Fill", "Mixed", "Write"),
    grpc.stream_unary_rpc_method_handler: ("Join", "First", "Slow"),
    grpc.stream_stream_rpc_method_handler: ("Each", "Read"),
}


def add_to(server: Any, servicer: Servicer) -> None:
    """As generated code does it."""
    handlers = {name: make(getattr(servicer, name)) for make, names in KINDS.items() for name in names}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


class Edge:
    """A running server with its servicer."""

    def __init__(self, server: Any, servicer: Servicer, port: int) -> None:
        self.server, self.servicer, self.port = server, servicer, port
        self.address = f"localhost:{port}"

    async def stop(self, drain_s: float) -> None:
        await self.server.stop(drain_s)


@asynccontextmanager
async def own(limits: Limits | None = None, tls: Any = None) -> AsyncIterator[Edge]:
    server, servicer = EdgeServer(limits=limits), Servicer()
    add_to(server, servicer)
    edge = Edge(server, servicer, await server.listen("127.0.0.1", 0, tls))
    yield edge
    await edge.stop(0)


@asynccontextmanager
async def grpcio(credentials: Any = None) -> AsyncIterator[Edge]:
    server, servicer = grpc.aio.server(options=OPTIONS), Servicer()
    add_to(server, servicer)
    address = "127.0.0.1:0"
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    await server.start()
    edge = Edge(server, servicer, port)
    yield edge
    await edge.stop(0)
