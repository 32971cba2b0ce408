"""The REST edge: the Open Inference Protocol under /v2, and predictions by feature name under /v1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import structlog
from aiohttp import web
from modelog_common.domain import errors
from modelog_common.domain.ids import uuid7
from modelog_common.rpc.call import Call, calling, current_call
from modelog_common.rpc.errors import DeadlineExceeded
from modelog_common.security.tokens import ANONYMOUS, TokenVerifier
from modelog_common.telemetry import traces
from opentelemetry.trace import SpanKind

from modelog_serving.oip import rest_codec
from modelog_serving.oip.access import bearer, identify
from modelog_serving.oip.core import Inference, Request
from modelog_serving.oip.server import EXTENSIONS, SERVER_NAME, SERVER_VERSION
from modelog_serving.routing.warmup import Warmup

MAX_BODY_BYTES = 16 << 20
CORRELATION = "x-correlation-id"
STATUS: tuple[tuple[type[errors.ModelogError], int], ...] = (
    (errors.Invalid, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.AlreadyExists, 409),
    (errors.NotAllowed, 409),
    (errors.Conflict, 409),
    (DeadlineExceeded, 504),
    (errors.Unavailable, 503),
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger()


class RestEdge:
    """Handlers over the same core as gRPC has."""

    def __init__(self, inference: Inference, warmup: Warmup, verifier: TokenVerifier) -> None:
        self._inference, self._warmup, self._verifier = inference, warmup, verifier

    def application(self) -> web.Application:
        """The routes, with errors as the protocol wants them."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._around])
        app.router.add_get("/v2", self._server)
        app.router.add_get("/v2/health/live", self._live)
        app.router.add_get("/v2/health/ready", self._ready)
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            app.router.add_get(path, self._model)
            app.router.add_get(f"{path}/ready", self._model_ready)
            app.router.add_post(f"{path}/infer", self._infer)
        app.router.add_post("/v1/models/{name}/predict", self._predict)
        return app

    async def _server(self, _request: web.Request) -> web.Response:
        return _json({"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": list(EXTENSIONS)})

    async def _live(self, _request: web.Request) -> web.Response:
        return _json({"live": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        return _json({"ready": self._warmup.ready}, 200 if self._warmup.ready else 503)

    async def _model(self, request: web.Request) -> web.Response:
        name, version = _named(request)
        return _json(rest_codec.to_metadata(await self._inference.describe(self._tenant(), name, version)))

    async def _model_ready(self, request: web.Request) -> web.Response:
        name, version = _named(request)
        ready = await self._inference.ready(self._tenant(), name, version)
        return _json({"name": name, "ready": ready}, 200 if ready else 503)

    async def _infer(self, request: web.Request) -> web.Response:
        asked = rest_codec.request_of(*_named(request), await request.read())
        return _json(rest_codec.to_body(await self._inference.infer(self._tenant(), asked)))

    async def _predict(self, request: web.Request) -> web.Response:
        body = rest_codec.predict_of(await request.read())
        name, tenant = request.match_info["name"], self._tenant()
        described = await self._inference.describe(tenant, name, body.version)
        asked = Request(
            deployment=name,
            version=body.version,
            key=body.key,
            prediction_id=body.prediction_id,
            event_time_us=body.event_time_us,
            inputs=rest_codec.rows_of(body, described.signature),
        )
        return _json(rest_codec.to_predictions(await self._inference.infer(tenant, asked)))

    def _tenant(self) -> str:
        return current_call().identity.tenant

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Identity, trace and errors of every call; health and the server's name are open to anybody."""
        correlation_id = request.headers.get(CORRELATION, "")[:100] or str(uuid7())
        call = Call(ANONYMOUS, correlation_id)
        parent = traces.extract(request.headers.items())
        with (
            structlog.contextvars.bound_contextvars(correlation_id=correlation_id),
            traces.span(f"{request.method} {_route(request)}", SpanKind.SERVER, parent),
        ):
            try:
                if "name" in request.match_info:
                    token = bearer(request.headers.get("authorization", ""))
                    call = replace(call, identity=identify(self._verifier, token), token=token)
                with calling(replace(call, trace_id=traces.trace_id())):
                    return await handler(request)
            except errors.ModelogError as error:
                return _refused(str(error), status_of(error))
            except web.HTTPException as error:
                return _refused(_http_text(request, error), error.status)
            except Exception:
                log.exception("call failed", method=request.method, path=request.path)
                return _refused(f"internal error; the service's log has it under correlation id {correlation_id}", 500)


def status_of(error: errors.ModelogError) -> int:
    """The HTTP status of a domain error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def _named(request: web.Request) -> tuple[str, str]:
    return request.match_info["name"], request.match_info.get("version", "")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def _http_text(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPNotFound):
        return f"there is nothing at {request.path}; see GET /v2 and /v2/models/NAME"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.method} is not allowed at {request.path}; allowed: {', '.join(sorted(error.allowed_methods))}"
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return f"the body is larger than the {MAX_BODY_BYTES} bytes that are allowed"
    return error.text or error.reason


def _refused(text: str, status: int) -> web.Response:
    response = _json({"error": text}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
