"""What edges do, asked by our own client: of our own edge and of grpcio's, in the clear and over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import clients
import edge_servicer
import grpc
import pytest
from certificates import Authority
from edge_servicer import Edge
from edge_suite import MIB, Code, GrpcEdgeSuite, failure, unary
from modelog_common.edge.tls import client_context, server_context

Serve = Callable[[tuple[Path, Path], Path | None], AbstractAsyncContextManager[Edge]]


class AskedByOwnClient(GrpcEdgeSuite):
    @pytest.fixture
    async def channel(self, edge: Edge) -> AsyncIterator[Any]:
        async with clients.own(edge.address) as channel:
            yield channel


class TestOwnEdge(AskedByOwnClient):
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        async with edge_servicer.own() as edge:
            yield edge


class TestGrpcioEdge(AskedByOwnClient):
    @pytest.fixture
    async def edge(self) -> AsyncIterator[Edge]:
        async with edge_servicer.grpcio() as edge:
            yield edge


def own_tls(files: tuple[Path, Path], authority: Path | None) -> AbstractAsyncContextManager[Edge]:
    return edge_servicer.own(tls=server_context(*files, authority))


def grpcio_tls(files: tuple[Path, Path], authority: Path | None) -> AbstractAsyncContextManager[Edge]:
    certificate, key = (path.read_bytes() for path in files)
    roots = authority.read_bytes() if authority else None
    return edge_servicer.grpcio(grpc.ssl_server_credentials([(key, certificate)], roots, authority is not None))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture(params=[own_tls, grpcio_tls], ids=["own", "grpcio"])
def serve(request: pytest.FixtureRequest) -> Serve:
    return request.param


def channel(edge: Edge, roots: Path, files: tuple[Path, Path] | None = None) -> AbstractAsyncContextManager[Any]:
    return clients.own(edge.address, tls=client_context(files, roots))


async def test_tls(serve: Serve, authority: Authority) -> None:
    async with serve(authority.sign("server"), None) as edge:
        async with channel(edge, authority.certificate) as secure:
            assert await unary(secure, "Echo")(bytes(5 * MIB)) == bytes(5 * MIB)
        async with clients.own(edge.address) as plain:
            assert (await failure(unary(plain, "Echo")(b""))).code() is Code.UNAVAILABLE


async def test_mutual_tls(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "stranger")
    async with serve(authority.sign("server"), authority.certificate) as edge:
        async with channel(edge, authority.certificate, authority.sign("alice")) as secure:
            assert (await unary(secure, "Peer")(b"")).endswith(b" alice")
        for files in (None, stranger.sign("mallory")):
            async with channel(edge, authority.certificate, files) as secure:
                assert (await failure(unary(secure, "Echo")(b""))).code() is Code.UNAVAILABLE
        async with channel(edge, stranger.certificate, authority.sign("alice")) as secure:
            assert (await failure(unary(secure, "Echo")(b""))).code() is Code.UNAVAILABLE


async def test_a_certificate_of_another_name(serve: Serve, authority: Authority) -> None:
    async with serve(authority.sign("server"), None) as edge:
        address = f"127.0.0.2:{edge.port}"
        async with clients.own(address, tls=client_context(None, authority.certificate)) as secure:
            assert (await failure(unary(secure, "Echo")(b""))).code() is Code.UNAVAILABLE


async def test_a_server_that_does_not_choose_http2(authority: Authority) -> None:
    context = server_context(*authority.sign("server"))
    context.set_alpn_protocols(["http/1.1"])
    async with edge_servicer.own(tls=context) as edge, channel(edge, authority.certificate) as secure:
        assert (await failure(unary(secure, "Echo")(b""))).code() is Code.UNAVAILABLE
