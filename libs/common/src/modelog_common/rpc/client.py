"""Channels to other services: identity, trace and deadline go along, lost calls are repeated, errors come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context

from modelog_common.domain.ids import uuid7_text
from modelog_common.rpc.call import call_or_none
from modelog_common.rpc.edges import MESSAGE_BYTES
from modelog_common.rpc.errors import error_of
from modelog_common.rpc.pipeline import AUTHORIZATION_KEY, CORRELATION_KEY, REQUEST_KEY
from modelog_common.rpc.transport import Tls
from modelog_common.telemetry import metrics, traces

UNARY_DEADLINE_S = 30.0
ATTEMPTS = 5
# What grpc.aio calls the iterator that it makes when the caller passes none.
WRITTEN_ONE_BY_ONE = "_proxy_writes_as_request_iterator"
Token = str | Callable[[], str]


def connect(
    target: str,
    token: Token,
    *,
    forward: bool = True,
    attempts: int = ATTEMPTS,
    deadline_s: float = UNARY_DEADLINE_S,
    tls: Tls | None = None,
) -> grpc.aio.Channel:
    """A channel to `target` (host:port), in the clear unless there is `tls`.

    Calls carry the token of the call that is being answered, if there is one and `forward` is set, else `token`, which
    may be a function that gives a fresh one ("" sends none). A call that nobody could answer (UNAVAILABLE) is sent up
    to `attempts` times (1 to 5) with growing pauses, together about 4 s; commands repeat safely because every
    call carries a request id. A unary call without a time-out gets `deadline_s`. Failed calls raise the domain error
    that the server raised.
    """
    side = Caller(token, forward, deadline_s)
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


class Caller:
    """What all four kinds of calls share: their metadata, their span, their errors."""

    def __init__(self, token: Token, forward: bool, unary_deadline_s: float) -> None:
        self._token, self._forward, self.unary_deadline_s = token, forward, unary_deadline_s

    def start(self, details: Any, deadline_s: float | None) -> tuple[Any, Span]:
        """The call's details with what every call carries, and its span."""
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        span = traces.tracer.start_span(method.lstrip("/"), kind=SpanKind.CLIENT)
        given = tuple(details.metadata or ())
        names = {name for name, _ in given}
        added = ((name, value) for name, value in self._metadata(span).items() if name not in names)
        metadata = grpc.aio.Metadata(*given, *added)
        timeout = deadline_s if details.timeout is None else details.timeout
        return details._replace(metadata=metadata, timeout=timeout), span

    def _metadata(self, span: Span) -> dict[str, str]:
        call = call_or_none()
        if self._forward and call is not None and call.token:
            token = call.token
        else:
            token = self._token() if callable(self._token) else self._token
        # However often this call is sent, it is one request: a command whose message names none happens once too.
        found = {REQUEST_KEY: uuid7_text()}
        found[CORRELATION_KEY] = call.correlation_id if call is not None else uuid7_text()
        if token:
            found[AUTHORIZATION_KEY] = f"Bearer {token}"
        return found | traces.carrier(set_span_in_context(span))


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
        _failed(span, error)
        raise error_of(error) from error
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
        _failed(span, error)
        raise error_of(error) from error
    finally:
        span.end()
        if not call.done():
            call.cancel()


def _failed(span: Span, error: grpc.aio.AioRpcError) -> None:
    span.set_attribute(metrics.ATTRIBUTE_CODE, error.code().name)
    span.set_status(StatusCode.ERROR)
