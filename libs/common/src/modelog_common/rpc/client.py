"""Channels to other services: identity, trace and deadline go along, lost calls are repeated, errors come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
from opentelemetry.trace import Span

from modelog_common.config import Edge
from modelog_common.rpc.caller import Caller, Token, failed
from modelog_common.rpc.edges import GRPCIO, MESSAGE_BYTES, OWN
from modelog_common.rpc.own_client import OwnChannel
from modelog_common.rpc.transport import Tls

UNARY_DEADLINE_S = 30.0
ATTEMPTS = 5
# What grpc.aio calls the iterator that it makes when the caller passes none.
WRITTEN_ONE_BY_ONE = "_proxy_writes_as_request_iterator"


def connect(
    target: str,
    token: Token,
    *,
    forward: bool = True,
    attempts: int = ATTEMPTS,
    deadline_s: float = UNARY_DEADLINE_S,
    tls: Tls | None = None,
    client: Edge = OWN,
) -> grpc.aio.Channel:
    """A channel to `target` (host:port), in the clear unless there is `tls`.

    Calls carry the token of the call that is being answered, if there is one and `forward` is set, else `token`, which
    may be a function that gives a fresh one ("" sends none). A call that nobody could answer (UNAVAILABLE) is sent up
    to `attempts` times (1 to 5) with growing pauses, together about 4 s; commands repeat safely because every
    call carries a request id. A unary call without a time-out gets `deadline_s`. Failed calls raise the domain error
    that the server raised. Our own client takes calls without streams, and leaves the others to grpcio.
    """
    side = Caller(token, forward, deadline_s)
    grpcio = partial(_grpcio, target, side, attempts, tls)
    return grpcio() if client == GRPCIO else OwnChannel(target, side, attempts, tls, grpcio)


def _grpcio(target: str, side: Caller, attempts: int, tls: Tls | None) -> grpc.aio.Channel:
    interceptors = [UnaryUnary(side), UnaryStream(side), StreamUnary(side), StreamStream(side)]
    options = _options(attempts)
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    return grpc.aio.secure_channel(target, tls.channel_credentials(), options=options, interceptors=interceptors)


def _options(attempts: int) -> list[tuple[str, Any]]:
    retry = {
        "maxAttempts": attempts,
        "initialBackoff": "0.3s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    policy: dict[str, Any] = {"name": [{}]} | ({"retryPolicy": retry} if attempts > 1 else {})
    return [
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", json.dumps({"methodConfig": [policy]})),
        # A service that was killed is back within seconds; gRPC's own pause grows to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # No pause, for all its name: so long a service that is busy may take to greet. Those that refuse do so at once.
        ("grpc.min_reconnect_backoff_ms", 5000),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]


class UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        details, span = self._caller.start(client_call_details, self._caller.unary_deadline_s)
        return await _finished(await continuation(details, request), span)


class StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        if getattr(request_iterator, "__name__", "") == WRITTEN_ONE_BY_ONE:
            # write() waits for this interceptor, which waits for the answer, which would wait for what is written.
            raise TypeError("pass the requests as an iterator; this channel does not take them by `write`")
        details, span = self._caller.start(client_call_details, None)
        requests = Requests(request_iterator)
        return await _finished(await continuation(details, aiter(requests)), span, requests)


class UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        details, span = self._caller.start(client_call_details, None)
        return _answers(await continuation(details, request), span)


class StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        details, span = self._caller.start(client_call_details, None)
        requests = Requests(request_iterator)
        return _answers(await continuation(details, aiter(requests)), span, requests)


class Requests:
    """The caller's stream of requests, and the error that broke it off: gRPC only says that it cancelled the call."""

    def __init__(self, requests: Any) -> None:
        self._requests = requests
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            if hasattr(self._requests, "__aiter__"):
                async for request in self._requests:
                    yield request
            else:
                for request in self._requests:
                    yield request
        except Exception as error:
            self.error = error
            raise


async def _finished(call: Any, span: Span, requests: Requests | None = None) -> Any:
    try:
        await call
    except asyncio.CancelledError:
        if requests is not None and requests.error is not None:
            raise requests.error from None
        raise
    except grpc.aio.AioRpcError as error:
        raise failed(span, error) from error
    finally:
        span.end()
    return call


async def _answers(call: Any, span: Span, requests: Requests | None = None) -> AsyncIterator[Any]:
    try:
        async for answer in call:
            yield answer
    except asyncio.CancelledError:
        if requests is not None and requests.error is not None:
            raise requests.error from None
        raise
    except grpc.aio.AioRpcError as error:
        raise failed(span, error) from error
    finally:
        span.end()
        if not call.done():
            call.cancel()
