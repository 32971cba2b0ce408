"""TLS of a service: what its listeners show, whom they let in, and what its channels trust and show.

MODELOG_TLS_CERTIFICATE_FILE and MODELOG_TLS_KEY_FILE make every listener speak TLS. With MODELOG_TLS_AUTHORITY_FILE
the services' own gRPC is mutual: servers and clients both show certificates that this authority signed. What the public
talks to - REST, the pages, the inference protocol - asks nobody for a certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc

from modelog_common.config import Settings
from modelog_common.domain.errors import Unavailable
from modelog_common.edge.tls import client_context, server_context
from modelog_common.rpc.renewal import Changes, Renewals, load_again

T = TypeVar("T")
ONLY_TLS = ssl.TLSVersion.TLSv1_2


@dataclass(frozen=True)
class Tls:
    """PEM files; `authority` is None where clients are let in without a certificate.

    Listeners and our own client's channels show what the files hold when `renewals` is run.
    """

    certificate: Path
    key: Path
    authority: Path | None = None
    renewals: Renewals = field(default_factory=Renewals, compare=False)

    @property
    def open(self) -> Tls:
        """The same for listeners that ask nobody for a certificate."""
        return Tls(self.certificate, self.key, renewals=self.renewals)

    @property
    def files(self) -> Sequence[Path]:
        """All that there are."""
        return [file for file in (self.certificate, self.key, self.authority) if file is not None]

    def grpc_context(self) -> ssl.SSLContext:
        """For a server of gRPC on our own edge; raises Unavailable, naming the files."""
        context = _read(self, lambda: server_context(self.certificate, self.key, self.authority))
        return self._followed(context, self.authority)

    def http_context(self) -> ssl.SSLContext:
        """For a server of HTTP/1.1; raises Unavailable, naming the files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ONLY_TLS
        context.set_alpn_protocols(["http/1.1"])
        _read(self, lambda: context.load_cert_chain(self.certificate, self.key))
        return self._followed(context, None)

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a server of grpcio's; raises Unavailable, naming the files."""
        changes = Changes(self.files)

        def configuration() -> grpc.ServerCertificateConfiguration:
            pair, roots = self._bytes()
            return grpc.ssl_server_certificate_configuration([pair], roots)

        def renewed() -> Any:
            """Asked at each handshake; None leaves it as it is, and so does gRPC where the pair does not fit."""
            return configuration() if changes.seen() else None

        return grpc.dynamic_ssl_server_credentials(_read(self, configuration), renewed, self.authority is not None)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For channels to other services: without an authority of its own, those of the machine are trusted."""
        (key, certificate), roots = _read(self, self._bytes)
        if roots is None:
            return grpc.ssl_channel_credentials()
        return grpc.ssl_channel_credentials(roots, key, certificate)

    def channel_context(self) -> ssl.SSLContext:
        """The same for our own client."""
        if self.authority is None:
            return _read(self, lambda: client_context(None, None))
        context = _read(self, lambda: client_context((self.certificate, self.key), self.authority))
        return self._followed(context, self.authority)

    def _followed(self, context: ssl.SSLContext, authority: Path | None) -> ssl.SSLContext:
        load = partial(load_again, context, self.certificate, self.key, authority)
        self.renewals.follow(self.files, load)
        return context

    def _bytes(self) -> tuple[tuple[bytes, bytes], bytes | None]:
        roots = None if self.authority is None else self.authority.read_bytes()
        return (self.key.read_bytes(), self.certificate.read_bytes()), roots


def tls_of(settings: Settings) -> Tls | None:
    """What the settings say; None where services talk in the clear."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    return Tls(settings.tls_certificate_file, settings.tls_key_file, settings.tls_authority_file)


def _read(tls: Tls, work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        # ssl.SSLError is one as well.
        names = f"MODELOG_TLS_CERTIFICATE_FILE={tls.certificate}, MODELOG_TLS_KEY_FILE={tls.key}"
        if tls.authority is not None:
            names += f", MODELOG_TLS_AUTHORITY_FILE={tls.authority}"
        raise Unavailable(
            f"TLS cannot be had with {names}: {error}; they must be readable PEM files, and the key the certificate's"
        ) from error
