"""Errors as MLflow's clients read them: the one table from domain errors to MLflow's codes and HTTP statuses."""

from __future__ import annotations

import msgspec
from aiohttp import web
from modelog_common.domain import errors
from modelog_common.edge.http1_answer import Answer
from modelog_common.rpc.errors import DeadlineExceeded, PeerFailed, Unimplemented

CODES: dict[type[errors.ModelogError], tuple[str, int]] = {
    errors.Invalid: ("INVALID_PARAMETER_VALUE", 400),
    errors.NotAllowed: ("INVALID_PARAMETER_VALUE", 400),
    # 400, not 409: clients go on when a model exists already, and look at this code.
    errors.AlreadyExists: ("RESOURCE_ALREADY_EXISTS", 400),
    errors.Unauthenticated: ("UNAUTHENTICATED", 401),
    errors.Forbidden: ("PERMISSION_DENIED", 403),
    errors.NotFound: ("RESOURCE_DOES_NOT_EXIST", 404),
    errors.Conflict: ("RESOURCE_CONFLICT", 409),
    Unimplemented: ("NOT_IMPLEMENTED", 501),
    errors.Unavailable: ("TEMPORARILY_UNAVAILABLE", 503),
    DeadlineExceeded: ("DEADLINE_EXCEEDED", 504),
    PeerFailed: ("INTERNAL_ERROR", 500),
}
UNEXPECTED = ("INTERNAL_ERROR", 500)


class EndpointNotFound(errors.NotFound):
    """There is no such method here; a client that gets this code falls back on an older one."""


CODES[EndpointNotFound] = ("ENDPOINT_NOT_FOUND", 404)


def refused(error: errors.ModelogError, status: int | None = None) -> Answer:
    """The answer for an error; `status` stands for what HTTP alone knows of, such as 405 and 413."""
    code, usual = next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), UNEXPECTED)
    body = msgspec.json.encode({"error_code": code, "message": str(error)})
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, errors.Unauthenticated) else {}
    return Answer(body, status or usual, headers=headers)


def refusal(error: errors.ModelogError, status: int | None = None) -> web.Response:
    """The same over aiohttp."""
    return response_of(refused(error, status))


def response_of(answer: Answer) -> web.Response:
    """An answer as aiohttp sends it."""
    return web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type, headers=answer.headers
    )
