"""Errors as RFC 9457 problem documents: the one table from domain errors to HTTP."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from modelog_common.domain import errors
from modelog_common.rpc.errors import DeadlineExceeded, PeerFailed, Unimplemented, retry_after_s

CONTENT_TYPE = "application/problem+json"
UNEXPECTED = 500
STATUS: dict[type[errors.ModelogError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.Conflict: 409,
    errors.NotAllowed: 422,
    Unimplemented: 501,
    PeerFailed: 502,
    errors.Overloaded: 429,
    errors.Unavailable: 503,
    DeadlineExceeded: 504,
}


def status_of(error: errors.ModelogError) -> int:
    """The HTTP status of an error, or of the nearest class above it that has one."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), UNEXPECTED)


def problem(error: errors.ModelogError, correlation_id: str, status: int | None = None) -> web.Response:
    """The answer for an error: type, title, status, detail, and each wrong field under `errors`.

    `status` stands for what HTTP alone knows of, such as 405 and 413.
    """
    kind = type(error).__name__
    body: dict[str, Any] = {
        "type": f"urn:modelog:error:{kind}",
        "title": kind,
        "status": status or status_of(error),
        "detail": str(error),
        "correlation_id": correlation_id,
    }
    if isinstance(error, errors.Invalid) and error.violations:
        body["errors"] = [{"field": v.field, "description": v.description} for v in error.violations]
    headers = {"Retry-After": str(retry_after_s(error))} if isinstance(error, errors.Unavailable) else {}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=body["status"], text=json.dumps(body), content_type=CONTENT_TYPE, headers=headers)
