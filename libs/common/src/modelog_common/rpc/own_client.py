"""A channel whose calls without streams go over our own client; those with streams over one of grpcio's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import grpc
from opentelemetry.trace import Span

from modelog_common.edge.limits import Limits
from modelog_common.grpc_client.call import Retries, UnaryCall
from modelog_common.grpc_client.link import Link, Patience
from modelog_common.grpc_client.method import Method
from modelog_common.rpc.caller import Caller, Pair, failed
from modelog_common.rpc.edges import MESSAGE_BYTES
from modelog_common.rpc.transport import Tls

LIMITS = Limits(message_bytes=MESSAGE_BYTES)
# As `client` tells grpcio.
PATIENCE = Patience(greeting_s=5.0, first_pause_s=0.1, longest_pause_s=1.0)


class OwnChannel(grpc.aio.Channel):
    """To `target` (host:port). `grpcio` makes the channel for streams, when the first one begins."""

    def __init__(
        self, target: str, side: Caller, attempts: int, tls: Tls | None, grpcio: Callable[[], grpc.aio.Channel]
    ) -> None:
        context = None if tls is None else tls.channel_context()
        self._side, self._retries = side, Retries(attempts)
        self._link = Link(target, tls=context, limits=LIMITS, patience=PATIENCE)
        self._make_grpcio = grpcio
        self._grpcio: grpc.aio.Channel | None = None

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> UnaryUnary:
        made = Method(self._link, method, request_serializer, response_deserializer, self._retries)
        return UnaryUnary(made, method.lstrip("/"), self._side)

    def unary_stream(self, method: str, *given: Any, **named: Any) -> Any:
        return partial(self._streamed, "unary_stream", method, given, named)

    def stream_unary(self, method: str, *given: Any, **named: Any) -> Any:
        return partial(self._streamed, "stream_unary", method, given, named)

    def stream_stream(self, method: str, *given: Any, **named: Any) -> Any:
        return partial(self._streamed, "stream_stream", method, given, named)

    def _streamed(
        self, kind: str, method: str, given: tuple[Any, ...], named: dict[str, Any], *asked: Any, **how: Any
    ) -> Any:
        if self._link.closed:
            raise grpc.aio.UsageError("Channel is closed.")
        if self._grpcio is None:
            self._grpcio = self._make_grpcio()
        return getattr(self._grpcio, kind)(method, *given, **named)(*asked, **how)

    async def close(self, grace: float | None = None) -> None:
        """End all calls; those with streams get `grace` seconds."""
        await self._link.close()
        if self._grpcio is not None:
            await self._grpcio.close(grace)

    async def __aenter__(self) -> OwnChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._link.state(try_to_connect=try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        while self._link.state() is last_observed_state:
            await self._link.changed()

    async def channel_ready(self) -> None:
        while self._link.state(try_to_connect=True) is not grpc.ChannelConnectivity.READY:
            await self._link.changed()


class UnaryUnary(grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    """A method whose calls carry what every call does, and raise domain errors."""

    def __init__(self, method: Method, name: str, side: Caller) -> None:
        self._method, self._name, self._side = method, name, side

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Iterable[Pair] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> UnaryCall:
        pairs, span = self._side.begun(self._name, metadata)
        return self._method(
            request,
            timeout=self._side.unary_deadline_s if timeout is None else timeout,
            metadata=pairs,
            credentials=credentials,
            wait_for_ready=wait_for_ready,
            compression=compression,
            ended=partial(_ended, span),
        )


def _ended(span: Span, error: grpc.aio.AioRpcError | None) -> BaseException | None:
    meant: BaseException | None = None
    if error is not None:
        meant = failed(span, error)
        meant.__cause__ = error
    span.end()
    return meant
