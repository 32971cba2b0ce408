"""TLS and mutual TLS, on both edges."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from certificates import Authority
from edge_servicer import OPTIONS, Edge, grpcio, own
from edge_suite import MIB, Code, failure, unary
from modelog_common.edge.tls import server_context

Serve = Callable[[tuple[Path, Path], Path | None], AbstractAsyncContextManager[Edge]]


def own_tls(files: tuple[Path, Path], authority: Path | None) -> AbstractAsyncContextManager[Edge]:
    return own(tls=server_context(*files, authority))


def grpcio_tls(files: tuple[Path, Path], authority: Path | None) -> AbstractAsyncContextManager[Edge]:
    certificate, key = (path.read_bytes() for path in files)
    roots = authority.read_bytes() if authority else None
    return grpcio(grpc.ssl_server_credentials([(key, certificate)], roots, authority is not None))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture(params=[own_tls, grpcio_tls], ids=["own", "grpcio"])
def serve(request: pytest.FixtureRequest) -> Serve:
    return request.param


@pytest.fixture
async def mutual(serve: Serve, authority: Authority) -> AsyncIterator[Edge]:
    async with serve(authority.sign("server"), authority.certificate) as edge:
        yield edge


def channel(edge: Edge, roots: Path, files: tuple[Path, Path] | None = None) -> Any:
    certificate, key = (path.read_bytes() for path in files) if files else (None, None)
    credentials = grpc.ssl_channel_credentials(roots.read_bytes(), key, certificate)
    return grpc.aio.secure_channel(edge.address, credentials, OPTIONS)


async def test_tls(serve: Serve, authority: Authority) -> None:
    async with serve(authority.sign("server"), None) as edge:
        async with channel(edge, authority.certificate) as secure:
            assert await unary(secure, "Echo")(bytes(5 * MIB)) == bytes(5 * MIB)
        async with grpc.aio.insecure_channel(edge.address) as plain:
            assert (await failure(unary(plain, "Echo")(b""))).code() is Code.UNAVAILABLE


async def test_a_client_with_a_certificate_is_known_by_its_name(mutual: Edge, authority: Authority) -> None:
    async with channel(mutual, authority.certificate, authority.sign("alice")) as secure:
        assert (await unary(secure, "Peer")(b"")).endswith(b" alice")


async def test_clients_without_a_good_certificate_stay_out(mutual: Edge, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "stranger").sign("mallory")
    for files in (None, stranger):
        async with channel(mutual, authority.certificate, files) as secure:
            assert (await failure(unary(secure, "Echo")(b""))).code() is Code.UNAVAILABLE


async def test_who_does_not_choose_http2_is_sent_away(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.certificate)
    async with own_tls(authority.sign("server"), None) as edge:
        reader, writer = await asyncio.open_connection("localhost", edge.port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError):
            assert not await reader.read(1000)
            raise ConnectionResetError
        writer.close()
