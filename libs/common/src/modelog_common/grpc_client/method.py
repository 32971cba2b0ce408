"""A unary method of a server: what a generated stub calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc

from modelog_common.edge.blocks import written
from modelog_common.edge.head import ACCEPTED, GRPC, GZIP
from modelog_common.edge.messages import prefixed
from modelog_common.grpc_client.call import Asked, Ended, Retries, UnaryCall
from modelog_common.grpc_client.fields import metadata_block
from modelog_common.grpc_client.link import Link

# PROTOCOL-HTTP2.md, "User Agents".
AGENT = b"grpc-python-modelog/0.1"
NO_RETRIES = Retries()


class Method(grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    """Messages are bytes where nothing is given that writes and parses them."""

    def __init__(
        self,
        link: Link,
        path: str,
        write: Callable[[Any], bytes] | None = None,
        parse: Callable[[bytes], Any] | None = None,
        retries: Retries = NO_RETRIES,
    ) -> None:
        self._link, self._write, self._parse, self._retries = link, write, parse, retries
        # RFC 9113, section 8.3.1, and PROTOCOL-HTTP2.md, "Requests".
        self._block = written([
            (b":method", b"POST"), (b":scheme", link.scheme.encode()), (b":path", path.encode()),
            (b":authority", link.authority.encode()), (b"te", b"trailers"), (b"content-type", GRPC),
            (b"user-agent", AGENT), ACCEPTED,
        ])  # fmt: skip

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Iterable[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
        ended: Ended | None = None,
    ) -> UnaryCall:
        """Begin a call; `ended` is told how it ended. Raises ValueError for metadata that cannot be sent."""
        if credentials is not None:
            raise grpc.aio.UsageError("a call has no credentials of its own here; pass them as metadata")
        message = request if self._write is None else self._write(request)
        compress = compression is grpc.Compression.Gzip
        block = self._block
        if metadata:
            block += metadata_block(metadata)
        if compress:
            block += metadata_block((("grpc-encoding", GZIP),))
        data = prefixed(message, compress=compress)
        asked = Asked(block, data, self._parse, self._retries, bool(wait_for_ready))
        return UnaryCall(self._link, asked, timeout, ended)
