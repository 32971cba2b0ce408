"""Errors as RFC 9457 problem documents: the one table from domain errors to HTTP."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from modelog_common.domain import errors

CONTENT_TYPE = "application/problem+json"
STATUS: dict[type[errors.ModelogError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.Conflict: 409,
    errors.NotAllowed: 422,
    errors.Unavailable: 503,
}


def status_of(error: errors.ModelogError) -> int:
    return STATUS.get(type(error), 500)


def problem(error: errors.ModelogError, correlation_id: str) -> web.Response:
    """The answer for an error: type, title, status, detail, and each wrong field under `errors`."""
    kind = type(error).__name__
    body: dict[str, Any] = {
        "type": f"urn:modelog:error:{kind}",
        "title": kind,
        "status": status_of(error),
        "detail": str(error),
        "correlation_id": correlation_id,
    }
    if isinstance(error, errors.Invalid) and error.violations:
        body["errors"] = [{"field": v.field, "description": v.description} for v in error.violations]
    headers = {"Retry-After": "1"} if isinstance(error, errors.Unavailable) else {}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=body["status"], text=json.dumps(body), content_type=CONTENT_TYPE, headers=headers)
