"""The REST edge: what surrounds every call - identity, trace, errors - and the server's own addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import structlog
from modelog_common.domain import errors
from modelog_common.domain.ids import uuid7
from modelog_common.edge.http1_answer import Answer, Handle, Request
from modelog_common.rpc.call import Call, calling
from modelog_common.rpc.errors import DeadlineExceeded, retry_after_s
from modelog_common.security.tokens import ANONYMOUS, TokenVerifier
from modelog_common.telemetry import traces
from opentelemetry.trace import SpanKind

from modelog_serving.oip.access import bearer, identify
from modelog_serving.oip.rest_routes import Asked, Handler, RestRoutes, Route
from modelog_serving.oip.server import FALLBACK_HEADER

MAX_BODY_BYTES = 16 << 20
CORRELATION, TRACE = "x-correlation-id", "traceparent"
STATUS: tuple[tuple[type[errors.ModelogError], int], ...] = (
    (errors.Invalid, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.AlreadyExists, 409),
    (errors.NotAllowed, 409),
    (errors.Conflict, 409),
    (DeadlineExceeded, 504),
    (errors.Overloaded, 429),
    (errors.Unavailable, 503),
)
log = structlog.get_logger()


class RestEdge:
    """Finds the handler of a request, with all around it that every call has."""

    def __init__(self, routes: RestRoutes, verifier: TokenVerifier) -> None:
        self._routes, self._verifier = routes, verifier

    def find(self, verb: str, path: str) -> Handle:
        """The handler of any request: that of an unknown address says so."""
        found = self._routes.find(path)
        if found is None:
            return partial(_answered, refused(404, f"there is nothing at {path}; see GET /v2 and /v2/models/NAME"))
        route, names = found
        handler = route.handlers.get("GET" if verb == "HEAD" else verb)
        if handler is None:
            allowed = ", ".join(sorted(route.handlers))
            no = refused(405, f"{verb} is not allowed at {path}; allowed: {allowed}", {"Allow": allowed})
            return partial(_answered, no)
        return partial(self._around, route, names, handler)

    def plain(self, verb: str, path: str) -> Handle | None:
        """The handler of a request that asks in the usual way: to HEAD the answer has another form."""
        return self.find(verb, path) if verb in ("GET", "POST") else None

    async def _around(self, route: Route, names: Mapping[str, str], handler: Handler, request: Request) -> Answer:
        """Identity, trace and errors of every call."""
        correlation_id = request.headers.get(CORRELATION, "")[:100] or str(uuid7())
        call = Call(ANONYMOUS, correlation_id)
        parent = traces.extract(request.headers.items()) if TRACE in request.headers else None
        with (
            structlog.contextvars.bound_contextvars(correlation_id=correlation_id),
            traces.span(f"{request.verb} {route.pattern}", SpanKind.SERVER, parent),
        ):
            try:
                if not route.is_open:
                    token = bearer(request.headers.get("authorization", ""))
                    call = replace(call, identity=identify(self._verifier, token), token=token)
                with calling(replace(call, trace_id=traces.trace_id())):
                    return await handler(Asked(request, names))
            except errors.ModelogError as error:
                return refusal(error)
            except Exception:
                log.exception("call failed", method=request.verb, path=request.path)
                return refused(500, f"internal error; the service's log has it under correlation id {correlation_id}")


def status_of(error: errors.ModelogError) -> int:
    """The HTTP status of a domain error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def refusal(error: errors.ModelogError) -> Answer:
    """The answer to a call that was refused."""
    return refused(status_of(error), str(error), _retry_after(error))


def refused(status: int, text: str, headers: dict[str, str] | None = None) -> Answer:
    """$inference_error_response."""
    answer = told({"error": text}, status)
    answer.headers |= headers or {}
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _retry_after(error: errors.ModelogError) -> dict[str, str]:
    return {"Retry-After": str(retry_after_s(error))} if status_of(error) in (429, 503) else {}


def told(body: Any, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(msgspec.json.encode(body), status)


def marked(answer: Answer, fallback: str) -> Answer:
    """An answer whose headers say why something else than the version it was for gave it; "" where none did."""
    if fallback:
        answer.headers[FALLBACK_HEADER] = fallback
    return answer


async def _answered(answer: Answer, _request: Request) -> Answer:
    return answer
