"""Who calls, and under which correlation id: what every way into the gateway asks, in one place."""

from __future__ import annotations

import base64
import binascii

import structlog
from modelog_common.domain.errors import Unauthenticated
from modelog_common.domain.ids import uuid7_text
from modelog_common.rpc.call import Call
from modelog_common.rpc.errors import PeerFailed
from modelog_common.security.tokens import TokenVerifier

CORRELATION_HEADER = "X-Correlation-ID"
CORRELATION_LONGEST = 100
log = structlog.get_logger()


def correlation_of(given: str) -> str:
    """The caller's own correlation id, or a fresh one when there is none that can travel as a header."""
    given = given[:CORRELATION_LONGEST]
    return given if given and given.isascii() and given.isprintable() else uuid7_text()


def call_of(verifier: TokenVerifier, token: str, correlation: str) -> Call:
    """The call of who has this token; raises Unauthenticated."""
    return Call(
        identity=verifier.verify(token),
        correlation_id=correlation,
        request_id="",
        trace_id="",
        deadline_s=None,
        token=token,
    )


def bearer(header: str, basic: bool = False) -> str:
    """The token of an Authorization header; raises Unauthenticated when there is none.

    With `basic` it may also be the password of Basic credentials, as MLFLOW_TRACKING_PASSWORD sends it.
    """
    scheme, _, token = header.partition(" ")
    if basic and scheme.lower() == "basic":
        return password_of(token)
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("the request lacks a header `Authorization: Bearer <token>`; `modelog login` shows yours")
    return token


def password_of(credentials: str) -> str:
    """What follows the first colon (RFC 7617)."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthenticated("the header `Authorization: Basic` does not hold user:password in base64") from None


def unexpected(path: str, correlation: str) -> PeerFailed:
    """What was not expected goes to the log, and tells its correlation id and nothing else."""
    log.exception("a request could not be answered", path=path, correlation_id=correlation)
    return PeerFailed(f"internal error; the gateway's log has it under correlation id {correlation}")
