"""TLS for HTTP/2 (RFC 9113, section 9.2), and who a client's certificate says it is."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PROTOCOL = "h2"


def server_context(certificate: Path, key: Path, client_authority: Path | None = None) -> ssl.SSLContext:
    """PEM files of the server; with `client_authority` only clients whose certificates it signed are let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([PROTOCOL])
    # RFC 9113, section 9.2.2, bans what is not ephemeral and authenticated; TLS 1.3 has nothing else.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate, key)
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority)
    return context


def client_context(pair: tuple[Path, Path] | None, authority: Path | None) -> ssl.SSLContext:
    """Of a client that trusts servers which the authority signed (the machine's without one); `pair` is what it shows,
    certificate and key, as PEM files."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([PROTOCOL])
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def identities(certificate: Any) -> Mapping[str, Iterable[bytes]]:
    """The names in a certificate as `ssl` tells them, under the names that grpcio has for them."""
    if not certificate:
        return {}
    found: dict[str, list[bytes]] = {"transport_security_type": [b"ssl"]}
    for part in certificate.get("subject", ()):
        for name, value in part:
            if name == "commonName":
                found.setdefault("x509_common_name", []).append(value.encode())
    for _, value in certificate.get("subjectAltName", ()):
        found.setdefault("x509_subject_alternative_name", []).append(str(value).encode())
    return found
