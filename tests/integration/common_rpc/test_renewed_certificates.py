"""Certificates are renewed while listeners run: new connections get the new ones, on both edges and over HTTP."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from modelog_common.domain.clock import SystemClock
from modelog_common.rpc.edges import GRPCIO, OWN, server_on
from modelog_common.rpc.pipeline import Pipeline
from modelog_common.rpc.transport import Tls
from modelog_common.security.tokens import TokenVerifier

sys.path.append(str(Path(__file__).parents[2] / "contract" / "edge"))

from certificates import Authority

Listen = Callable[[Tls], Any]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Where a service has its certificate, its key and its authority."""
    (tmp_path / "secret").mkdir()
    return tmp_path / "secret"


@pytest.fixture
def tls(files: Path, authority: Authority) -> Tls:
    put(files, authority.sign("first"), authority)
    return Tls(files / "tls.crt", files / "tls.key", files / "ca.crt")


def put(files: Path, pair: tuple[Path, Path], authority: Authority) -> None:
    """Replace them as Kubernetes does: each name is another file from one moment to the next."""
    for source, name in zip((*pair, authority.certificate), ("tls.crt", "tls.key", "ca.crt"), strict=True):
        shutil.copy(source, files / f"{name}.new")
        (files / f"{name}.new").rename(files / name)


def on(edge: Any) -> Listen:
    verifier = TokenVerifier(Ed25519PrivateKey.generate().public_key(), SystemClock())

    @asynccontextmanager
    async def listen(tls: Tls) -> AsyncIterator[int]:
        server = server_on(edge, Pipeline(verifier, {}, 1.0))
        yield await server.listen("localhost", 0, tls)
        await server.stop(0)

    return listen


@asynccontextmanager
async def over_http(tls: Tls) -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "localhost", 0, ssl=tls.http_context())
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture(params=[on(OWN), on(GRPCIO), over_http], ids=["own", "grpcio", "http"])
def listen(request: pytest.FixtureRequest) -> Listen:
    return request.param


async def shown(port: int, authority: Authority, client: tuple[Path, Path]) -> str:
    """The name in the certificate that the listener shows to a client that has one, too."""
    context = ssl.create_default_context(cafile=authority.certificate)
    context.load_cert_chain(*client)
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    certificate: Any = writer.get_extra_info("peercert")
    writer.close()
    return str(dict(part for (part,) in certificate["subject"])["commonName"])


@pytest.fixture
def name(authority: Authority) -> Callable[[int], Awaitable[str]]:
    client = authority.sign("client")
    return lambda port: shown(port, authority, client)


async def test_new_connections_get_the_new_certificate(
    listen: Listen, tls: Tls, files: Path, authority: Authority, name: Callable[[int], Awaitable[str]]
) -> None:
    async with listen(tls) as port:
        assert await name(port) == "first"
        put(files, authority.sign("second"), authority)
        tls.renewals.look()
        assert await name(port) == "second"


async def test_a_certificate_whose_key_is_not_there_yet_waits_for_it(
    listen: Listen, tls: Tls, files: Path, authority: Authority, name: Callable[[int], Awaitable[str]]
) -> None:
    async with listen(tls) as port:
        certificate, key = authority.sign("second")
        shutil.copy(certificate, files / "tls.crt")
        tls.renewals.look()
        assert await name(port) == "first"
        shutil.copy(key, files / "tls.key")
        tls.renewals.look()
        assert await name(port) == "second"


async def test_files_that_are_gone_for_a_moment_change_nothing(
    listen: Listen, tls: Tls, files: Path, authority: Authority, name: Callable[[int], Awaitable[str]]
) -> None:
    async with listen(tls) as port:
        for each in ("tls.crt", "tls.key"):
            (files / each).unlink()
        tls.renewals.look()
        assert await name(port) == "first"
        put(files, authority.sign("second"), authority)
        tls.renewals.look()
        assert await name(port) == "second"


@pytest.mark.parametrize("edge", [OWN, GRPCIO])
async def test_whom_a_new_authority_signed_is_let_in(
    edge: Any, tls: Tls, files: Path, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other")
    async with on(edge)(tls) as port:
        put(files, other.sign("second"), other)
        tls.renewals.look()
        assert await shown(port, other, other.sign("client")) == "second"


async def test_our_own_client_shows_the_new_certificate_and_trusts_the_new_authority(
    tls: Tls, files: Path, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other")
    context = tls.channel_context()
    put(files, other.sign("second"), other)
    tls.renewals.look()
    # A server of the new authority, which lets in only whom that one signed.
    (tmp_path / "server").mkdir()
    put(tmp_path / "server", other.sign("server"), other)
    theirs = Tls(*(tmp_path / "server" / name for name in ("tls.crt", "tls.key", "ca.crt")))
    async with on(OWN)(theirs) as port:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        assert await reader.read(1)
        writer.close()
