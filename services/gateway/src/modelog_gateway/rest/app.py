"""The HTTP application: one handler for every contract, plus MLflow's API, files, events and the web pages."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import grpc.aio
from aiohttp import web
from aiohttp.typedefs import Middleware
from google.protobuf.message_factory import GetMessageClass
from modelog_common.domain.errors import Invalid, ModelogError, NotFound, Unavailable
from modelog_common.rpc.call import calling
from modelog_common.security.permissions import PUBLIC
from modelog_common.security.tokens import TokenVerifier

from modelog_gateway.mlflow.app import PUBLIC as MLFLOW_PUBLIC
from modelog_gateway.mlflow.app import add_mlflow, is_mlflow
from modelog_gateway.mlflow.errors import EndpointNotFound, refusal
from modelog_gateway.rest import links
from modelog_gateway.rest.callers import CORRELATION_HEADER, bearer, call_of, correlation_of, unexpected
from modelog_gateway.rest.contracts import Route, routes
from modelog_gateway.rest.openapi import document
from modelog_gateway.rest.pages import PUBLIC as PAGES_PUBLIC
from modelog_gateway.rest.pages import add_pages
from modelog_gateway.rest.problems import problem
from modelog_gateway.rest.streams import Streams
from modelog_gateway.rest.transcode import request_message, to_json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Peers = Callable[[str], grpc.aio.Channel]
PUBLIC_PATHS = ("/healthz", "/openapi.json", "/.well-known/modelog", *PAGES_PUBLIC, *MLFLOW_PUBLIC)
BODY_LIMIT_BYTES = 8 * 1024 * 1024
# Our own clients and most proxies wait for a minute; what a model needs to start may take most of it.
CALL_TIMEOUT_S = 55.0
CORRELATION = web.RequestKey("correlation", str)


def build_app(peer: Peers, verifier: TokenVerifier, version: str, discovery: dict[str, str]) -> web.Application:
    """The application; `peer` gives the channel to a service, `discovery` says where the other entrances are."""
    known = routes()
    open_to_all = [*PUBLIC_PATHS, *(route.path for route in known if route.permission == PUBLIC)]
    middlewares = [errors_as_problems, identified(verifier, open_to_all)]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_LIMIT_BYTES)
    # A twentieth of a start, made for the first one who asks.
    described = cache(lambda: json.dumps(document(known, version)))
    streams = Streams(peer)
    app.router.add_get("/api/v1/events/stream", streams.events)
    app.router.add_put("/api/v1/artifacts", streams.upload)
    app.router.add_put("/api/v1/uploads/{upload_id}/parts/{number}", streams.upload_part)
    app.router.add_get(links.FILE, streams.download)
    app.router.add_post(f"{links.FILE}/link", streams.link)
    for route in known:
        app.router.add_route(route.verb, route.path, transcoded(route, peer))
    add_mlflow(app, peer)
    app.router.add_get("/openapi.json", answering(described))
    app.router.add_get("/healthz", answering(lambda: '{"status":"serving"}'))
    app.router.add_get("/.well-known/modelog", answering(lambda: json.dumps(discovery)))
    add_pages(app)
    return app


def transcoded(route: Route, peer: Peers) -> Handler:
    """The handler of one contract: JSON in, gRPC through, JSON out."""
    answer_class = GetMessageClass(route.method.output_type)

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read() if route.has_body else b""
        message = request_message(route, request.match_info, request.query.items(), body)
        call: Any = peer(route.service).unary_unary(
            route.full_method,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=answer_class.FromString,
        )
        answer = await call(message, timeout=CALL_TIMEOUT_S)
        return web.Response(text=to_json(answer), content_type="application/json")

    return handle


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error leaves as a problem document, at MLflow's paths as one of MLflow's.

    What was not expected tells its correlation id and nothing else.
    """
    correlation = correlation_of(request.headers.get(CORRELATION_HEADER, ""))
    request[CORRELATION] = correlation
    try:
        answer = await handler(request)
    except ModelogError as error:
        answer = told(request, error)
    except web.HTTPException as error:
        answer = http_problem(request, error)
    except ConnectionError:
        # The caller is gone. aiohttp wants an answer all the same, and drops it.
        answer = told(request, Unavailable("the connection was closed"))
    except Exception:
        answer = told(request, unexpected(request.path, correlation), 500)
    if not answer.prepared:
        answer.headers[CORRELATION_HEADER] = correlation
    return answer


def told(request: web.Request, error: ModelogError, status: int | None = None) -> web.Response:
    """An error in the form that the caller reads."""
    if is_mlflow(request.path):
        return refusal(error, status)
    return problem(error, request[CORRELATION], status)


def http_problem(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals as problem documents; redirects and the like go on as they are."""
    mlflow = is_mlflow(request.path)
    match error:
        case web.HTTPRequestEntityTooLarge():
            return told(request, Invalid.field("body", f"is larger than {BODY_LIMIT_BYTES} bytes"), 413)
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.method} is not allowed at {request.path}; allowed: {allowed}"
            answer = told(request, EndpointNotFound(text) if mlflow else Invalid(text), 405)
            answer.headers["Allow"] = allowed
            return answer
        case web.HTTPNotFound() | web.HTTPForbidden():
            # Forbidden is what aiohttp says of a folder of static files.
            text = f"there is nothing at {request.path}"
            return told(request, EndpointNotFound(text) if mlflow else NotFound(text))
        case web.HTTPClientError():
            return told(request, Invalid(error.reason), error.status)
        case _:
            raise error


def identified(verifier: TokenVerifier, public: Sequence[str]) -> Middleware:
    """Middleware that knows the caller by the bearer token and makes the call current for what is called on.

    At `public` addresses, and below those that end with a slash, nobody is asked who they are.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if any(request.path == p or (p.endswith("/") and p != "/" and request.path.startswith(p)) for p in public):
            return await handler(request)
        token = links.token_of(request) or bearer(
            request.headers.get("Authorization", ""), basic=is_mlflow(request.path)
        )
        with calling(call_of(verifier, token, request[CORRELATION])):
            return await handler(request)

    return middleware


def answering(text: Callable[[], str]) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text(), content_type="application/json")

    return handle
