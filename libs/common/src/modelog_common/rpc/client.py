"""Channels to other services: the token, the correlation id, the trace, a deadline, retries, and domain errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from modelog_common.domain.ids import uuid7
from modelog_common.rpc.call import call_or_none
from modelog_common.rpc.errors import from_rpc
from modelog_common.telemetry import traces

DEFAULT_DEADLINE_S = 30.0
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
# Safe to repeat: every changing call carries a request id, and is acted on once.
_RETRY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def connect(target: str, token: str | Callable[[], str], *, forward: bool = True) -> grpc.aio.Channel:
    """A channel to `target`.

    With `forward`, a call made while answering another carries that caller's token; otherwise, and outside of calls, it
    carries `token`. Failed calls raise domain errors.
    """
    options: list[tuple[str, Any]] = [
        ("grpc.service_config", json.dumps(_RETRY)),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    give = token if callable(token) else lambda: token
    about = _Caller(give, forward)
    interceptors = [_UnaryUnary(about), _UnaryStream(about), _StreamUnary(about), _StreamStream(about)]
    return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)


class _Caller:
    """Adds to a call what the other side needs to know."""

    def __init__(self, token: Callable[[], str], forward: bool) -> None:
        self._token, self._forward = token, forward

    def details(self, details: grpc.aio.ClientCallDetails, deadline_s: float | None) -> grpc.aio.ClientCallDetails:
        call = call_or_none()
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        if metadata.get("authorization") is None:
            token = call.token if self._forward and call is not None and call.token else self._token()
            metadata.add("authorization", f"Bearer {token}")
        if metadata.get("x-correlation-id") is None:
            metadata.add("x-correlation-id", call.correlation_id if call is not None else str(uuid7()))
        for name, value in traces.inject([]):
            metadata.add(name, value.decode())
        return grpc.aio.ClientCallDetails(
            method=details.method,
            timeout=details.timeout if details.timeout is not None else deadline_s,
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        call = await continuation(self._caller.details(details, DEFAULT_DEADLINE_S), request)
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        call = await continuation(self._caller.details(details, None), requests)
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return _answers(await continuation(self._caller.details(details, None), request))


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return _answers(await continuation(self._caller.details(details, None), requests))


async def _answers(call: Any) -> AsyncIterator[Any]:
    try:
        async for answer in call:
            yield answer
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error) from error
    finally:
        call.cancel()
