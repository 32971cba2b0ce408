"""Asks a service on this machine whether it serves, as its own settings say where and how: `python -m ...rpc.probe`.

For probes of Kubernetes, whose own for gRPC know no TLS. Exit status 0 is "serving".
"""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modelog_common.config import Settings, load_settings
from modelog_common.rpc.transport import tls_of

PATIENCE_S = 5.0


def serves(settings: Settings) -> bool:
    """Whether the process with these settings says that it serves."""
    address = f"127.0.0.1:{settings.grpc_port}"
    with _channel(address, settings) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
        except grpc.RpcError as error:
            print(f"{address}: {error.details()}", file=sys.stderr)
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _channel(address: str, settings: Settings) -> grpc.Channel:
    tls = tls_of(settings)
    if tls is None:
        return grpc.insecure_channel(address)
    # Its certificate is for the name that others know it by.
    name = _name_in(tls.certificate)
    return grpc.secure_channel(address, tls.channel_credentials(), [("grpc.ssl_target_name_override", name)])


def _name_in(certificate: Path) -> str:
    names = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return names.value.get_values_for_type(x509.DNSName)[0]


if __name__ == "__main__":
    sys.exit(0 if serves(load_settings()) else 1)
