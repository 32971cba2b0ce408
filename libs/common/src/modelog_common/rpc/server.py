"""The gRPC server of a service: identity, validation, deadlines, errors, tracing and logs around every handler."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from modelog_proto.common.v1 import options_pb2
from opentelemetry import trace

from modelog_common.domain.errors import Forbidden, ModelogError, Unauthenticated, Unavailable
from modelog_common.domain.ids import uuid7
from modelog_common.rpc.call import Call, calling
from modelog_common.rpc.errors import to_status
from modelog_common.rpc.validate import validate
from modelog_common.security.tokens import Identity, TokenVerifier
from modelog_common.telemetry import metrics, traces

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
DEFAULT_DEADLINE_S = 60.0
PUBLIC = "public"
NOBODY = Identity("nobody", "", frozenset())
_OPEN = ("/grpc.health.v1.", "/grpc.reflection.")
Handler = Any
log = structlog.get_logger()


class GrpcServer:
    """A grpc.aio server with health and reflection. Port 0 takes any free port."""

    def __init__(
        self,
        host: str,
        port: int,
        verifier: TokenVerifier,
        *,
        permissions: Mapping[str, str] | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        options = [("grpc.so_reuseport", 0)] + [
            (f"grpc.max_{way}_message_length", max_message_bytes) for way in ("receive", "send")
        ]
        self._guard = Guard(verifier, permissions or {})
        self._server = grpc.aio.server(interceptors=[self._guard], options=options)
        self._host, self._port = host, port
        self._health = HealthServicer()
        self._names: list[str] = []
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def add(self, adder: Callable[[Any, Any], None], servicer: object, full_name: str) -> None:
        """Serve a servicer; `full_name` is the service's name with its package."""
        adder(servicer, self._server)
        self._names.append(full_name)

    async def start(self) -> int:
        """Listen, and report SERVING; returns the port. Raises Unavailable when the port cannot be had."""
        reflection.enable_server_reflection([*self._names, reflection.SERVICE_NAME], self._server)
        address = f"{self._host}:{self._port}"
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise Unavailable(f"cannot listen on {address}: is the port in use by another process?") from error
        await self._server.start()
        await self.set_serving(True)
        return port

    async def set_serving(self, serving: bool) -> None:
        """What the health service says."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self, drain_s: float) -> None:
        """Take no new calls, and give those that run `drain_s` seconds."""
        await self.set_serving(False)
        await self._server.stop(drain_s)


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every handler; what a method needs stands in its contract, or in `permissions` for foreign contracts."""

    def __init__(self, verifier: TokenVerifier, permissions: Mapping[str, str]) -> None:
        self._verifier, self._permissions = verifier, permissions

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]], details: grpc.HandlerCallDetails
    ) -> Handler:
        handler = await continuation(details)
        method: str = details.method
        if handler is None or method.startswith(_OPEN):
            return handler
        permission = self._permissions.get(method) or permission_of(method)
        metadata = dict(details.invocation_metadata or ())
        return self._guarded(handler, method, permission, metadata)

    def _guarded(self, handler: Handler, method: str, permission: str, metadata: Mapping[str, Any]) -> Handler:
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming and handler.response_streaming:

            async def both(requests: AsyncIterator[Message], context: Any) -> AsyncIterator[Message]:
                async with self._answering(method, permission, metadata, context, None):
                    async for answer in handler.stream_stream(checked(requests), context):
                        yield answer

            return grpc.stream_stream_rpc_method_handler(both, **codec)
        if handler.response_streaming:

            async def streaming(request: Message, context: Any) -> AsyncIterator[Message]:
                async with self._answering(method, permission, metadata, context, None):
                    validate(request)
                    async for answer in handler.unary_stream(request, context):
                        yield answer

            return grpc.unary_stream_rpc_method_handler(streaming, **codec)
        if handler.request_streaming:

            async def collecting(requests: AsyncIterator[Message], context: Any) -> Message | None:
                async with self._answering(method, permission, metadata, context, None):
                    answer: Message = await handler.stream_unary(checked(requests), context)
                    return answer

            return grpc.stream_unary_rpc_method_handler(collecting, **codec)

        async def single(request: Message, context: Any) -> Message | None:
            async with self._answering(method, permission, metadata, context, DEFAULT_DEADLINE_S):
                validate(request)
                answer: Message = await handler.unary_unary(request, context)
                return answer

        return grpc.unary_unary_rpc_method_handler(single, **codec)

    def _answering(
        self, method: str, permission: str, metadata: Mapping[str, Any], context: Any, default_s: float | None
    ) -> _Answering:
        return _Answering(self, method, permission, metadata, context, default_s)

    def identify(self, permission: str, metadata: Mapping[str, Any]) -> tuple[Identity, str]:
        """Who calls; raises Unauthenticated or Forbidden."""
        scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
        if permission == PUBLIC and not token:
            return NOBODY, ""
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("the call lacks the metadata `authorization: Bearer <token>`")
        identity = self._verifier.verify(token)
        if permission != PUBLIC and not identity.may(permission):
            roles = ", ".join(sorted(identity.roles)) or "no role"
            raise Forbidden(f"{identity.user} ({roles}) lacks the permission {permission or 'for this method'}")
        return identity, token


class _Answering:
    """Everything that stands around one call, as a context: identity, trace, deadline, errors, access log."""

    def __init__(
        self,
        guard: Guard,
        method: str,
        permission: str,
        metadata: Mapping[str, Any],
        context: Any,
        default_s: float | None,
    ) -> None:
        self._guard, self._method, self._permission = guard, method, permission
        self._metadata, self._context, self._default_s = metadata, context, default_s
        self._correlation_id = str(metadata.get("x-correlation-id", ""))[:100] or str(uuid7())

    async def __aenter__(self) -> None:
        self._began = time.perf_counter()
        parent = traces.extract([(k, v) for k, v in self._metadata.items() if isinstance(v, str)])
        self._span = traces.tracer().start_as_current_span(
            self._method.lstrip("/"), context=parent, kind=trace.SpanKind.SERVER
        )
        self._span.__enter__()
        try:
            identity, token = self._guard.identify(self._permission, self._metadata)
        except ModelogError as error:
            self._span.__exit__(None, None, None)
            await self._refuse(error)
        remaining = self._context.time_remaining()
        self._call = calling(
            Call(
                identity=identity,
                correlation_id=self._correlation_id,
                request_id=str(self._metadata.get("x-request-id", ""))[:100],
                trace_id=traces.current_trace_id(),
                deadline_s=remaining,
                token=token,
            )
        )
        self._call.__enter__()
        limit = remaining if remaining is not None else self._default_s
        self._timeout = asyncio.timeout(limit)
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, stack: Any) -> None:
        failure: ModelogError | None = error if isinstance(error, ModelogError) else None
        unexpected = error is not None and failure is None
        try:
            await self._timeout.__aexit__(kind, error, stack)
        except TimeoutError:
            failure, unexpected = Unavailable(f"{self._method} did not finish before its deadline"), False
        if unexpected and isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            log.exception("a call failed unexpectedly", method=self._method, exc_info=error)
        latency_s = time.perf_counter() - self._began
        status = type(failure or error).__name__ if (failure or error) else "OK"
        log.debug("call", method=self._method, status=status, latency_ms=round(latency_s * 1000, 2))
        metrics.calls.add(1, {"method": self._method, "status": status})
        metrics.call_duration_s.record(latency_s, {"method": self._method})
        self._call.__exit__(None, None, None)
        self._span.__exit__(None, None, None)
        if failure is not None:
            await self._refuse(failure)
        if unexpected and isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
            text = f"an internal error; the log tells more under correlation id {self._correlation_id}"
            await self._context.abort(grpc.StatusCode.INTERNAL, text)

    async def _refuse(self, error: ModelogError) -> None:
        status = rpc_status.to_status(to_status(error))
        await self._context.abort(status.code, status.details, status.trailing_metadata)


async def checked(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    """The messages of a stream, each validated as it comes."""
    async for request in requests:
        validate(request)
        yield request


def permission_of(method: str) -> str:
    """The permission in the contract of "/package.Service/Method"; empty, which nobody has, when there is none."""
    service, _, name = method.lstrip("/").partition("/")
    try:
        described: MethodDescriptor = Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        return ""
    return str(described.GetOptions().Extensions[options_pb2.permission])
