"""The unary cases of gRPC's interoperability tests (doc/interop-test-descriptions.md of grpc/grpc) with our own client.

Left out are those of streams, which our client leaves to grpcio, and of Google's credentials and load balancers.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from clients import LIMITS
from edge_suite import Code, failure
from modelog_common.edge.server import EdgeServer
from modelog_common.grpc_client.link import Link
from modelog_common.grpc_client.method import Method

sys.path.append(str(Path(__file__).parents[2] / "servers" / "edge"))

from interop_servicer import ECHO_INITIAL, ECHO_TRAILING, TestService, messages, services

SERVICE = "grpc.testing.TestService"


class Stub:
    """What generated code makes, for the methods that are unary."""

    def __init__(self, link: Link) -> None:
        def method(name: str, asked: Any, answer: Any, service: str = SERVICE) -> Method:
            return Method(link, f"/{service}/{name}", asked.SerializeToString, answer.FromString)

        self.empty = method("EmptyCall", messages.Empty, messages.Empty)
        self.unary = method("UnaryCall", messages.SimpleRequest, messages.SimpleResponse)
        self.no_method = method("UnimplementedCall", messages.Empty, messages.Empty)
        self.no_service = method("UnimplementedCall", messages.Empty, messages.Empty, "grpc.testing.None")


@pytest.fixture(params=["own", "grpcio"])
async def stub(request: pytest.FixtureRequest) -> AsyncIterator[Stub]:
    if request.param == "own":
        server: Any = EdgeServer()
        services.add_TestServiceServicer_to_server(TestService(), server)
        port = await server.listen("127.0.0.1", 0)
    else:
        server = grpc.aio.server()
        services.add_TestServiceServicer_to_server(TestService(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    link = Link(f"127.0.0.1:{port}", limits=LIMITS)
    yield Stub(link)
    await link.close()
    await server.stop(0)


def large(**more: Any) -> Any:
    return messages.SimpleRequest(response_size=314_159, payload={"body": bytes(271_828)}, **more)


async def test_empty_unary(stub: Stub) -> None:
    assert await stub.empty(messages.Empty()) == messages.Empty()


async def test_large_unary(stub: Stub) -> None:
    assert (await stub.unary(large())).payload.body == bytes(314_159)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
async def test_client_compressed_unary(stub: Stub, compression: grpc.Compression | None) -> None:
    assert (await stub.unary(large(), compression=compression)).payload.body == bytes(314_159)


@pytest.mark.parametrize("compressed", [True, False])
async def test_server_compressed_unary(stub: Stub, compressed: bool) -> None:
    assert (await stub.unary(large(response_compressed={"value": compressed}))).payload.body == bytes(314_159)


async def test_custom_metadata(stub: Stub) -> None:
    given = ((ECHO_INITIAL, "test_initial_metadata_value"), (ECHO_TRAILING, b"\xab\xab\xab"))
    call = stub.unary(large(), metadata=given)
    await call
    assert (await call.initial_metadata())[ECHO_INITIAL] == "test_initial_metadata_value"
    assert (await call.trailing_metadata())[ECHO_TRAILING] == b"\xab\xab\xab"


@pytest.mark.parametrize(
    "text", ["test status message", "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"]
)
async def test_status_code_and_message(stub: Stub, text: str) -> None:
    error = await failure(stub.unary(messages.SimpleRequest(response_status={"code": 2, "message": text})))
    assert (error.code(), error.details()) == (Code.UNKNOWN, text)


async def test_unimplemented(stub: Stub) -> None:
    assert (await failure(stub.no_method(messages.Empty()))).code() is Code.UNIMPLEMENTED
    assert (await failure(stub.no_service(messages.Empty()))).code() is Code.UNIMPLEMENTED


async def test_cancel_after_begin(stub: Stub) -> None:
    call = stub.unary(large())
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is Code.CANCELLED


async def test_rpc_soak(stub: Stub) -> None:
    for answer in await asyncio.gather(*(stub.unary(large()) for _ in range(50))):
        assert answer.payload.body == bytes(314_159)
