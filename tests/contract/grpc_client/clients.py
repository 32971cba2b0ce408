"""Channels over bytes, of grpcio's client and of ours, that differ in nothing else."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from edge_servicer import OPTIONS
from modelog_common.edge.limits import Limits
from modelog_common.grpc_client.call import Retries
from modelog_common.grpc_client.link import Link, Patience
from modelog_common.grpc_client.method import Method

MIB = 1 << 20
LIMITS = Limits(message_bytes=32 * MIB)
# Short pauses: tests wait for them.
PATIENCE = Patience(greeting_s=5.0, first_pause_s=0.02, longest_pause_s=0.05)
RETRY_PAUSE_S = 0.02


class OwnChannel:
    """Calls without streams over our own client, the others over grpcio's."""

    def __init__(self, address: str, attempts: int, limits: Limits, patience: Patience, tls: ssl.SSLContext | None):
        self.link = Link(address, tls=tls, limits=limits, patience=patience)
        self._retries = Retries(attempts, RETRY_PAUSE_S, RETRY_PAUSE_S)
        self._grpcio = grpc.aio.insecure_channel(address, OPTIONS)

    def unary_unary(self, path: str, *serialisers: Any) -> Method:
        return Method(self.link, path, *serialisers, retries=self._retries)

    def get_state(self) -> grpc.ChannelConnectivity:
        return self.link.state()

    def __getattr__(self, kind: str) -> Any:
        return getattr(self._grpcio, kind)

    async def close(self) -> None:
        await self.link.close()
        await self._grpcio.close()


@asynccontextmanager
async def own(
    address: str, *, attempts: int = 1, limits: Limits = LIMITS, patience: Patience = PATIENCE, tls: Any = None
) -> AsyncIterator[OwnChannel]:
    channel = OwnChannel(address, attempts, limits, patience, tls)
    yield channel
    await channel.close()


@asynccontextmanager
async def grpcio(address: str, *, attempts: int = 1) -> AsyncIterator[Any]:
    retry = {
        "maxAttempts": attempts, "initialBackoff": f"{RETRY_PAUSE_S}s", "maxBackoff": f"{RETRY_PAUSE_S}s",
        "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"],
    }  # fmt: skip
    policy: dict[str, Any] = {"name": [{}]} | ({"retryPolicy": retry} if attempts > 1 else {})
    options = [
        *OPTIONS,
        ("grpc.service_config", json.dumps({"methodConfig": [policy]})),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5000),
        ("grpc.max_reconnect_backoff_ms", 100),
    ]
    async with grpc.aio.insecure_channel(address, options) as channel:
        yield channel
