"""All six services with certificates: people and other services reach them by TLS alone."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from modelog_common.rpc import renewal
from modelog_common.rpc.transport import Tls
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.inference.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from modelog_proto.registry.v1 import model_pb2, model_pb2_grpc
from small_platform import SmallPlatform

sys.path.append(str(Path(__file__).parents[2] / "contract" / "edge"))

from certificates import Authority

API = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> Tls:
    return Tls(*authority.sign("platform"), authority.certificate)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[SmallPlatform]:
    made = SmallPlatform(
        tmp_path_factory.mktemp("tls"),
        tls_certificate_file=tls.certificate,
        tls_key_file=tls.key,
        tls_authority_file=tls.authority,
    )
    made.url = made.url.replace("http://", "https://")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renewal, "EVERY_S", 0.05)
        made.start()
        yield made
        made.stop()


@pytest.fixture
def trusted(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user sets whose authority is the company's own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))


def test_the_sdk_reaches_every_service(platform: SmallPlatform, trusted: None) -> None:
    client = platform.client()
    client.models.create("over-tls")
    assert [model.name for model in client.models.list()] == ["over-tls"]
    for nothing in (client.deployments.list(), client.monitors.list(), client.jobs.list()):
        assert list(nothing) == []


def test_mlflows_calls_come_both_ways(platform: SmallPlatform, trusted: None) -> None:
    headers = {"Authorization": f"Bearer {platform.token('alice', 'admin')}"}
    with httpx.Client(base_url=platform.url, headers=headers, timeout=150) as client:
        made = client.post(f"{API}/experiments/create", json={"name": "over-tls"})
        experiment = made.json()["experiment_id"]
        # One answered by our own HTTP/1.1, one that goes to aiohttp with every byte, over the same connection.
        run = client.post(f"{API}/runs/create", json={"experiment_id": experiment, "start_time": 1}).json()["run"]
        large = client.put(
            f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run['info']['run_id']}/artifacts/big",
            content=bytes(3 << 20),
        )
        assert large.status_code == 200, large.text
        assert client.get("/healthz").status_code == 200


def test_nothing_is_answered_in_the_clear(platform: SmallPlatform) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(platform.url.replace("https://", "http://") + "/healthz", timeout=150)
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(platform.url + "/healthz", timeout=150)


def test_inference_asks_nobody_for_a_certificate(platform: SmallPlatform, tls: Tls) -> None:
    assert tls.authority is not None
    credentials = grpc.ssl_channel_credentials(tls.authority.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{platform._oip_port}", credentials) as channel:
        assert GRPCInferenceServiceStub(channel).ServerLive(oip.ServerLiveRequest(), timeout=150).live
    with grpc.insecure_channel(f"127.0.0.1:{platform._oip_port}") as channel, pytest.raises(grpc.RpcError):
        GRPCInferenceServiceStub(channel).ServerLive(oip.ServerLiveRequest(), timeout=150)


def test_services_let_in_whom_the_authority_signed(platform: SmallPlatform, tls: Tls) -> None:
    assert tls.authority is not None
    token = (("authorization", f"Bearer {platform.token('alice', 'admin')}"),)
    ask = model_pb2.ListModelsRequest()
    roots, key, certificate = tls.authority.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes()
    with grpc.secure_channel(
        platform.address("registry"), grpc.ssl_channel_credentials(roots, key, certificate)
    ) as known:
        model_pb2_grpc.ModelRegistryStub(known).ListModels(ask, timeout=150, metadata=token)
    with (
        grpc.secure_channel(platform.address("registry"), grpc.ssl_channel_credentials(roots)) as stranger,
        pytest.raises(grpc.RpcError),
    ):
        model_pb2_grpc.ModelRegistryStub(stranger).ListModels(ask, timeout=150, metadata=token)


def test_renewed_certificates_are_shown_by_all_that_listens(
    platform: SmallPlatform, trusted: None, authority: Authority, tls: Tls
) -> None:
    context = ssl.create_default_context(cafile=authority.certificate)
    context.load_cert_chain(tls.certificate, tls.key)
    serials = {serial_of(address, context) for address in listeners(platform)}
    assert len(serials) == 1
    authority.sign("platform")
    deadline = time.monotonic() + 150
    for address in listeners(platform):
        while serial_of(address, context) in serials:
            assert time.monotonic() < deadline, f"{address} shows its former certificate after 150 s"
    assert list(platform.client().jobs.list()) == []


def listeners(platform: SmallPlatform) -> list[str]:
    """host:port of each service's own gRPC, of the gateway, and of inference."""
    services = [platform.address(name) for name in ("registry", "training", "serving", "monitoring", "lineage")]
    rest = platform.endpoints["serving"]["http"].removeprefix("https://")
    return [*services, f"127.0.0.1:{platform.http_port}", f"127.0.0.1:{platform._oip_port}", rest]


def serial_of(address: str, context: ssl.SSLContext) -> int:
    """The serial number of the certificate that is shown to a new connection."""
    host, port = address.split(":")
    with (
        socket.create_connection((host, int(port)), timeout=150) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def test_serving_answers_rest_over_tls(platform: SmallPlatform, tls: Tls) -> None:
    assert tls.authority is not None
    context = ssl.create_default_context(cafile=str(tls.authority))
    answer = httpx.get(platform.endpoints["serving"]["http"] + "/v2/health/live", verify=context, timeout=150)
    assert answer.json() == {"live": True}
