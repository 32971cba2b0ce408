"""Services speak TLS with each other when their settings name certificates, on both edges."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from modelog_common.config import load_settings
from modelog_common.domain.errors import Invalid, Unavailable
from modelog_common.rpc.probe import serves
from modelog_common.rpc.transport import Tls, tls_of
from modelog_proto.registry.v1 import model_pb2

sys.path.append(str(Path(__file__).parents[2] / "contract" / "edge"))

from certificates import Authority

GET = model_pb2.GetModelRequest(name="flights")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def mutual(authority: Authority) -> Tls:
    return Tls(*authority.sign("registry"), authority.certificate)


async def test_services_that_know_each_other(start: Any, mutual: Tls, authority: Authority) -> None:
    served = await start(tls=mutual)
    other = Tls(*authority.sign("gateway"), authority.certificate)
    assert (await served.registry(tls=other).GetModel(GET)).name == "flights"


async def test_who_shows_no_certificate_of_the_authority_is_not_let_in(start: Any, mutual: Tls, tmp_path: Path) -> None:
    served = await start(tls=mutual)
    (tmp_path / "others").mkdir()
    stranger = Authority(tmp_path / "others", "stranger")
    for tls in (None, Tls(*stranger.sign("gateway"), mutual.authority)):
        with pytest.raises(Unavailable):
            await served.registry(tls=tls).GetModel(GET)


async def test_a_server_that_the_authority_did_not_sign_is_not_talked_to(
    start: Any, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "others").mkdir()
    served = await start(tls=Tls(*Authority(tmp_path / "others", "stranger").sign("registry")))
    with pytest.raises(Unavailable):
        await served.registry(tls=Tls(*authority.sign("gateway"), authority.certificate)).GetModel(GET)


async def test_files_that_cannot_be_read_are_named(start: Any, mutual: Tls, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for tls in (Tls(tmp_path / "empty.pem", mutual.key), Tls(mutual.certificate, tmp_path / "gone.key")):
        with pytest.raises(Unavailable, match=r"MODELOG_TLS_KEY_FILE=.*must be readable PEM files"):
            tls.grpc_context()
        with pytest.raises(Unavailable, match="MODELOG_TLS_AUTHORITY_FILE="):
            Tls(tls.certificate, tls.key, mutual.authority).channel_context()
        with pytest.raises(Unavailable, match="MODELOG_TLS_CERTIFICATE_FILE="):
            tls.http_context()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"CERTIFICATE": "a"}, "MODELOG_TLS_KEY_FILE is null: it is missing beside MODELOG_TLS_CERTIFICATE_FILE"),
        ({"KEY": "a"}, "MODELOG_TLS_KEY_FILE is .*: it needs MODELOG_TLS_CERTIFICATE_FILE beside it"),
        ({"AUTHORITY": "a"}, "MODELOG_TLS_AUTHORITY_FILE is .*: it needs MODELOG_TLS_CERTIFICATE_FILE beside it"),
    ],
)
def test_half_of_the_settings_are_refused(
    given: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_DATA_DIR", str(tmp_path))
    for name, text in given.items():
        monkeypatch.setenv(f"MODELOG_TLS_{name}_FILE", text)
    with pytest.raises(Invalid, match=said):
        load_settings()


async def test_the_probe_asks_as_the_settings_say(
    start: Any, mutual: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await start(tls=mutual)
    for name, text in {
        "DATA_DIR": tmp_path, "GRPC_PORT": served.address.rpartition(":")[2],
        "TLS_CERTIFICATE_FILE": mutual.certificate, "TLS_KEY_FILE": mutual.key, "TLS_AUTHORITY_FILE": mutual.authority,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"MODELOG_{name}", str(text))
    settings = load_settings()
    assert tls_of(settings) == mutual
    assert await asyncio.to_thread(serves, settings)
    await served.server.stop(0)
    assert not await asyncio.to_thread(serves, settings)
