"""What happens to every call before and after its handler, in order: tracing, identity, validation, deadline, errors, log."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from opentelemetry.trace import SpanKind

from modelog_common.domain.errors import Forbidden, Invalid, ModelogError, NotAllowed, Unauthenticated
from modelog_common.domain.ids import uuid7
from modelog_common.rpc.call import Call, calling
from modelog_common.rpc.errors import status_of, trailers_of
from modelog_common.rpc.methods import Method
from modelog_common.rpc.validate import validate
from modelog_common.security.permissions import PUBLIC
from modelog_common.security.tokens import ANONYMOUS, Identity, TokenVerifier
from modelog_common.telemetry import metrics, traces

CORRELATION_KEY = "x-correlation-id"
REQUEST_KEY = "x-request-id"
ID_LONGEST = 100
UNARY_DEADLINE_S = 60.0
# gRPC's own services: anybody may ask them.
OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
Handler = grpc.RpcMethodHandler[Any, Any]
log = structlog.get_logger()


class Malformed:
    """Stands for a request whose bytes are no message of its type."""


class Pipeline(grpc.aio.ServerInterceptor):
    """Wraps each method's handler once; gRPC asks for the handler at every call."""

    def __init__(self, verifier: TokenVerifier, methods: dict[str, Method]) -> None:
        self._verifier, self._methods = verifier, methods
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        path = handler_call_details.method
        known = self._wrapped.get(path)
        if known is not None:
            return known
        handler: Handler | None = await continuation(handler_call_details)
        if handler is None or path.startswith(OPEN_SERVICES):
            return handler  # type: ignore[return-value]
        wrapped = self._wrap(handler, self._methods.get(path, Method(path, "")))
        self._wrapped[path] = wrapped
        return wrapped

    def _wrap(self, handler: Any, method: Method) -> Handler:
        deserializer = _tolerant(handler.request_deserializer)
        serializer = handler.response_serializer
        if handler.request_streaming and handler.response_streaming:
            serve = self._streaming(handler.stream_stream, method, self._each)
            return grpc.stream_stream_rpc_method_handler(serve, deserializer, serializer)
        if handler.request_streaming:
            serve = self._unary(handler.stream_unary, method, self._each, None)
            return grpc.stream_unary_rpc_method_handler(serve, deserializer, serializer)
        if handler.response_streaming:
            serve = self._streaming(handler.unary_stream, method, self._one)
            return grpc.unary_stream_rpc_method_handler(serve, deserializer, serializer)
        serve = self._unary(handler.unary_unary, method, self._one, UNARY_DEADLINE_S)
        return grpc.unary_unary_rpc_method_handler(serve, deserializer, serializer)

    def _unary(
        self, handle: Any, method: Method, checked: Callable[[Any, Method], Any], deadline_s: float | None
    ) -> Callable[..., Awaitable[Any]]:
        async def serve(request: Any, context: Any) -> Any:
            async with self._admit(method, context, deadline_s):
                return await _implemented(handle, method)(checked(request, method), context)

        return serve

    def _streaming(self, handle: Any, method: Method, checked: Callable[[Any, Method], Any]) -> Callable[..., Any]:
        is_generator = inspect.isasyncgenfunction(handle)

        async def serve(request: Any, context: Any) -> None:
            async with self._admit(method, context, None):
                answers = _implemented(handle, method)(checked(request, method), context)
                if not is_generator:
                    await answers
                    return
                try:
                    async for answer in answers:
                        await context.write(answer)
                finally:
                    await answers.aclose()

        return serve

    def _one(self, request: Any, method: Method) -> Any:
        if isinstance(request, Malformed):
            raise Invalid.field("request", "the bytes are no message of the type that this method takes")
        if method.validated:
            validate(request)
        return request

    async def _each(self, requests: AsyncIterator[Any], method: Method) -> AsyncIterator[Any]:
        async for request in requests:
            yield self._one(request, method)

    @asynccontextmanager
    async def _admit(self, method: Method, context: Any, default_deadline_s: float | None) -> AsyncIterator[None]:
        """Everything around a handler; leaves by `context.abort` when the handler raised."""
        started = time.perf_counter()
        metadata = dict(context.invocation_metadata() or ())
        correlation_id = _short_id(metadata, CORRELATION_KEY) or str(uuid7())
        remaining: float | None = context.time_remaining()
        deadline_s = default_deadline_s if remaining is None else max(remaining, 0.0)
        failure: BaseException | None = None
        identity = ANONYMOUS
        with (
            structlog.contextvars.bound_contextvars(correlation_id=correlation_id),
            traces.span(method.path[1:], SpanKind.SERVER, traces.extract(metadata.items())) as span,
        ):
            scope = asyncio.timeout(deadline_s)
            try:
                token = _bearer(metadata)
                identity = self._identify(method, token)
                call = Call(
                    identity, correlation_id, _short_id(metadata, REQUEST_KEY), traces.trace_id(), deadline_s, token
                )
                with calling(call):
                    async with scope:
                        yield
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                failure = error
            status = None
            if failure is not None:
                pass
        ...
