"""What happens around every handler, in order: tracing, identity, validation, deadline, error mapping, access log."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from opentelemetry.trace import Span, SpanKind, StatusCode

from modelog_common.domain.errors import Forbidden, Invalid, ModelogError, Unauthenticated
from modelog_common.domain.ids import uuid7_text
from modelog_common.rpc.call import Call, calling
from modelog_common.rpc.errors import DeadlineExceeded, Unimplemented, code_of, status_of, trailers_of
from modelog_common.rpc.methods import Method
from modelog_common.rpc.validate import validate
from modelog_common.security.permissions import PUBLIC, roles_with
from modelog_common.security.tokens import ANONYMOUS, Identity, TokenVerifier
from modelog_common.telemetry import metrics, traces
from modelog_common.telemetry.logs import call_line

CORRELATION_KEY = "x-correlation-id"
REQUEST_KEY = "x-request-id"
AUTHORIZATION_KEY = "authorization"
ID_LONGEST = 100
READ_OUT_S = 1.0
# A client that streams both ways may wait for an answer before it sends more.
READ_OUT_BOTH_WAYS_S = 0.1
# gRPC's own services: anybody may ask them.
OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
# Requests in, answer out; `Any` because gRPC has no types for messages of any method.
Work = Callable[[], Awaitable[Any]]
# (request, permission of the method); it raises what refuses the call.
Guard = Callable[[Message, str], Awaitable[None]]
# What the caller may know of an answer.
Veil = Callable[[Message], Awaitable[Message]]
log = structlog.get_logger()


class Malformed:
    """Stands for a request whose bytes are no message of its type."""


class Pipeline(grpc.aio.ServerInterceptor):
    """Wraps each method's handler once; grpcio asks for the handler at every call."""

    def __init__(self, verifier: TokenVerifier, methods: Mapping[str, Method], unary_deadline_s: float) -> None:
        self._verifier, self._methods, self._unary_deadline_s = verifier, methods, unary_deadline_s
        self._wrapped: dict[str, Any] = {}
        self.guard: Guard | None = None
        self.veil: Veil | None = None

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        path = handler_call_details.method
        if path not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[path] = self.around(path, handler)
        return self._wrapped[path]

    def around(self, path: str, handler: Any) -> Any:
        """The handler of a path with the pipeline around it; that of gRPC's own services as it is."""
        if path.startswith(OPEN_SERVICES):
            return handler
        return self._wrap(handler, self._methods.get(path) or Method(path, ""))

    def _wrap(self, handler: Any, method: Method) -> Any:
        deserializer, serializer = _tolerant(handler.request_deserializer), handler.response_serializer
        checked = _checked_stream(method) if handler.request_streaming else _checked(method)
        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            handle = handler.stream_stream if handler.request_streaming else handler.unary_stream
            return make(self._streaming(handle, method, checked), deserializer, serializer)
        if handler.request_streaming:
            serve = self._unary(handler.stream_unary, method, checked, None)
            return grpc.stream_unary_rpc_method_handler(serve, deserializer, serializer)
        serve = self._unary(handler.unary_unary, method, checked, self._unary_deadline_s)
        return grpc.unary_unary_rpc_method_handler(serve, deserializer, serializer)

    def _unary(
        self, handle: Any, method: Method, checked: Callable[[Any], Any], deadline_s: float | None
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        async def serve(request: Any, context: Any) -> Any:
            async def work() -> Any:
                answer = await _implemented(handle, method)(await self._admitted(checked(request), method), context)
                return await self.veil(answer) if self.veil is not None else answer

            return await self._run(method, context, deadline_s, work, request)

        return serve

    def _streaming(
        self, handle: Any, method: Method, checked: Callable[[Any], Any]
    ) -> Callable[[Any, Any], Awaitable[None]]:
        async def serve(request: Any, context: Any) -> None:
            async def work() -> None:
                answers = _implemented(handle, method)(await self._admitted(checked(request), method), context)
                if not inspect.isasyncgen(answers):
                    await answers
                    return
                try:
                    async for answer in answers:
                        await context.write(answer)
                finally:
                    await answers.aclose()

            await self._run(method, context, None, work, request, READ_OUT_BOTH_WAYS_S)

        return serve

    async def _admitted(self, request: Any, method: Method) -> Any:
        """The request, when the guard lets it pass; a stream of requests is not looked at."""
        if self.guard is not None and isinstance(request, Message):
            await self.guard(request, method.permission)
        return request

    async def _run(
        self,
        method: Method,
        context: Any,
        default_deadline_s: float | None,
        work: Work,
        request: Any,
        read_out_s: float = READ_OUT_S,
    ) -> Any:
        """Do the work as the caller, and tell how it ended: to the caller, the trace, the metrics and the log."""
        started = time.perf_counter()
        metadata = {k: v for k, v in context.invocation_metadata() or () if isinstance(v, str)}
        correlation_id = metadata.get(CORRELATION_KEY, "")[:ID_LONGEST] or uuid7_text()
        remaining: float | None = context.time_remaining()
        deadline_s = default_deadline_s if remaining is None else max(remaining, 0.0)
        seen: dict[str, Any] = {"method": method.path[1:], "code": "OK"}
        with (
            structlog.contextvars.bound_contextvars(correlation_id=correlation_id),
            traces.tracer.start_as_current_span(
                method.path[1:],
                traces.extract(metadata.items()),
                SpanKind.SERVER,
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
        ):
            try:
                token = _bearer(metadata)
                identity = ANONYMOUS if method.permission == PUBLIC else self._verifier.verify(token)
                seen |= {"user": identity.user, "tenant": identity.tenant}
                _permit(identity, method)
                request_id = metadata.get(REQUEST_KEY, "")[:ID_LONGEST]
                call = Call(identity, correlation_id, request_id, traces.trace_id(), deadline_s, token)
                with calling(call):
                    return await _within(deadline_s, work)
            except grpc.aio.AbortError:
                seen["code"] = code_of(context.code()).name
                raise
            except asyncio.CancelledError:
                # Also when the deadline passes and gRPC notices before we do.
                seen["code"] = "CANCELLED"
                raise
            except Exception as error:
                code, text, trailers = trailers_of(status_of(error, correlation_id))
                seen |= {"code": code.name, "error": text}
                if not isinstance(error, ModelogError):
                    log.exception("call failed", method=seen["method"])
                await _read_out(request, read_out_s)
                await context.abort(code, text, trailers)
            finally:
                _tell(seen, time.perf_counter() - started, span)


async def _read_out(request: Any, patience_s: float) -> None:
    """Read what of a stream still comes, for a moment: gRPC's client may miss a status that comes while it writes."""
    if not hasattr(request, "__aiter__"):
        return
    # What comes is of no interest, nor that it breaks off.
    with suppress(Exception):
        async with asyncio.timeout(patience_s):
            async for _ in request:
                pass


def _permit(identity: Identity, method: Method) -> None:
    if not method.permission:
        raise Forbidden(f"{method.path[1:]} is open to nobody: its contract names no permission")
    if method.permission != PUBLIC and not identity.may(method.permission):
        roles = ", ".join(sorted(identity.roles)) or "none"
        raise Forbidden(
            f"{identity.user} lacks the permission {method.permission}, which the roles "
            f"{', '.join(roles_with(method.permission))} have; {identity.user}'s roles: {roles}"
        )


async def _within(deadline_s: float | None, work: Work) -> Any:
    try:
        async with asyncio.timeout(deadline_s) as scope:
            return await work()
    except TimeoutError as error:
        if scope.expired():
            raise DeadlineExceeded(
                f"the call took longer than its {deadline_s or 0:.3g} s and was cancelled"
            ) from error
        raise


def _checked(method: Method) -> Callable[[Any], Any]:
    def check(request: Any) -> Any:
        if isinstance(request, Malformed):
            raise Invalid.field("request", "its bytes are not a message of the type that this method takes")
        if method.validated:
            validate(request)
        return request

    return check


def _checked_stream(method: Method) -> Callable[[Any], AsyncIterator[Any]]:
    check = _checked(method)

    async def each(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield check(request)

    return each


def _tolerant(deserialize: Any) -> Any:
    """gRPC answers bytes that do not parse with an internal error; they are the caller's, so they go to validation."""
    if deserialize is None:
        return None

    def tolerant(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return Malformed()

    return tolerant


def _implemented(handle: Any, method: Method) -> Any:
    # The generated base class answers with plain functions.
    if inspect.iscoroutinefunction(handle) or inspect.isasyncgenfunction(handle):
        return handle
    raise Unimplemented(f"this service does not implement {method.path[1:]}")


def _bearer(metadata: Mapping[str, str]) -> str:
    scheme, _, token = metadata.get(AUTHORIZATION_KEY, "").partition(" ")
    if token and scheme.lower() != "bearer":
        raise Unauthenticated(f"the authorization scheme {scheme[:20]!r} is not known; send `Bearer <token>`")
    return token.strip()


def _tell(seen: dict[str, Any], took_s: float, span: Span) -> None:
    span.set_attribute(metrics.ATTRIBUTE_CODE, seen["code"])
    if seen["code"] == "INTERNAL":
        span.set_status(StatusCode.ERROR)
    labels = {metrics.ATTRIBUTE_METHOD: seen["method"], metrics.ATTRIBUTE_CODE: seen["code"]}
    metrics.server_call_duration().record(took_s, labels)
    call_line("call", {"latency_ms": round(took_s * 1000, 3), **seen})
