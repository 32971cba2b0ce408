"""The one table between domain errors and gRPC statuses, read in both directions (google.rpc error model)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from modelog_common.domain.errors import (
    AlreadyExists,
    Conflict,
    FieldViolation,
    Forbidden,
    Invalid,
    ModelogError,
    NotAllowed,
    NotFound,
    Overloaded,
    Unauthenticated,
    Unavailable,
)


class PeerFailed(ModelogError):
    """Another service failed in a way that it did not foresee; the text names the correlation id of its log."""


class DeadlineExceeded(Unavailable):
    """The call took longer than it was given. It may have had its effect: repeat it with the same request id."""


class Unimplemented(ModelogError):
    """The service has no such method, or not yet."""


Code = grpc.StatusCode
TABLE: tuple[tuple[type[ModelogError], grpc.StatusCode, str], ...] = (
    (Invalid, Code.INVALID_ARGUMENT, "INVALID"),
    (NotFound, Code.NOT_FOUND, "NOT_FOUND"),
    (AlreadyExists, Code.ALREADY_EXISTS, "ALREADY_EXISTS"),
    (NotAllowed, Code.FAILED_PRECONDITION, "NOT_ALLOWED"),
    (Forbidden, Code.PERMISSION_DENIED, "FORBIDDEN"),
    (Unauthenticated, Code.UNAUTHENTICATED, "UNAUTHENTICATED"),
    (Conflict, Code.ABORTED, "CONFLICT"),
    (DeadlineExceeded, Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    (Overloaded, Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (Unavailable, Code.UNAVAILABLE, "UNAVAILABLE"),
    (PeerFailed, Code.INTERNAL, "FAILED"),
    (Unimplemented, Code.UNIMPLEMENTED, "UNIMPLEMENTED"),
)
# What servers that are not ours, and gRPC itself, answer besides.
FOREIGN: dict[grpc.StatusCode, type[ModelogError]] = {
    Code.OUT_OF_RANGE: Invalid,
    Code.CANCELLED: Unavailable,
}
CODES = {code.value[0]: code for code in grpc.StatusCode}
ERRORS = FOREIGN | {code: error for error, code, _ in TABLE}
DOMAIN = "modelog"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_AFTER_S = 1
# gRPC refuses trailers above 8 KiB, and both the text (percent-encoded) and the details (base64) go there.
SHORT_TEXT_BYTES = 700
TEXT_BYTES = 2000
VIOLATIONS_BYTES = 1800


def status_of(error: BaseException, correlation_id: str) -> Status:
    """The status that a caller gets for an error; an unexpected error tells nothing but the correlation id."""
    for kind, code, reason in TABLE:
        if isinstance(error, kind):
            text = shorten(str(error), TEXT_BYTES)
            details = [_info(reason, correlation_id), *_details(error)]
            return _status(code, text, details)
    text = f"internal error; the service's log has it under correlation id {correlation_id}"
    return _status(Code.INTERNAL, text, [_info("INTERNAL", correlation_id)])


def trailers_of(status: Status) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """A status as gRPC sends it: code, text, trailing metadata."""
    text = shorten(status.message, SHORT_TEXT_BYTES)
    return code_of(status.code), text, ((DETAILS_KEY, status.SerializeToString()),)


def error_of(rpc_error: grpc.aio.AioRpcError) -> ModelogError:
    """The domain error that a failed call means, with the text that the server wrote."""
    status = _sent_status(rpc_error.trailing_metadata() or ())
    code = rpc_error.code()
    text = (status.message if status is not None else "") or rpc_error.details() or code.name
    kind = ERRORS.get(code, PeerFailed)
    if code is Code.RESOURCE_EXHAUSTED and "larger than max" in text:
        kind = Invalid
    if kind is Invalid:
        return Invalid(text, _violations(status) if status is not None else ())
    return kind(text)


def retry_after_s(error: ModelogError) -> int:
    """After how many whole seconds the same call may succeed."""
    return max(RETRY_AFTER_S, math.ceil(error.retry_after_s)) if isinstance(error, Overloaded) else RETRY_AFTER_S


def shorten(text: str, limit_bytes: int) -> str:
    """Text that takes at most `limit_bytes` in UTF-8; what was cut is marked with an ellipsis."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit_bytes:
        return encoded.decode()
    return encoded[: limit_bytes - 3].decode(errors="ignore") + "…"


def code_of(number: int | grpc.StatusCode) -> grpc.StatusCode:
    """The status code with a number; gRPC hands out both."""
    return number if isinstance(number, Code) else CODES.get(number, Code.UNKNOWN)


def _status(code: grpc.StatusCode, text: str, details: Iterable[Message]) -> Status:
    status = Status(code=code.value[0], message=text)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _info(reason: str, correlation_id: str) -> ErrorInfo:
    return ErrorInfo(reason=reason, domain=DOMAIN, metadata={"correlation_id": correlation_id})


def _details(error: ModelogError) -> list[Message]:
    if isinstance(error, Invalid) and error.violations:
        return [_bad_request(error.violations)]
    if isinstance(error, Unavailable):
        return [RetryInfo(retry_delay=Duration(seconds=retry_after_s(error)))]
    return []


def _bad_request(violations: Sequence[FieldViolation]) -> BadRequest:
    told = BadRequest()
    for number, violation in enumerate(violations):
        entry = BadRequest.FieldViolation(
            field=shorten(violation.field, 200), description=shorten(violation.description, 600)
        )
        if told.ByteSize() + entry.ByteSize() > VIOLATIONS_BYTES:
            left = len(violations) - number
            told.field_violations.add(field="", description=f"and {left} more")
            break
        told.field_violations.append(entry)
    return told


def _sent_status(trailers: Iterable[tuple[str, str | bytes]]) -> Status | None:
    for name, value in trailers:
        if name == DETAILS_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


def _violations(status: Status) -> list[FieldViolation]:
    told = BadRequest()
    for detail in status.details:
        if detail.Is(BadRequest.DESCRIPTOR) and detail.Unpack(told):
            return [FieldViolation(v.field, v.description) for v in told.field_violations]
    return []
