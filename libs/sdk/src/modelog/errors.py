"""The errors that calls raise; the text says what was wrong and what is allowed."""

from __future__ import annotations

from typing import Any, Mapping, Sequence


class ModelogError(Exception):
    """Base of all errors of the SDK."""

    def __init__(self, message: str, *, correlation_id: str = "") -> None:
        super().__init__(message)
        self.correlation_id = correlation_id


class Invalid(ModelogError):
    """A field of the request is missing or wrong; `fields` says which and why."""

    def __init__(self, message: str, *, correlation_id: str = "", fields: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(message, correlation_id=correlation_id)
        self.fields = [dict(f) for f in fields]


class Unauthenticated(ModelogError):
    """The token is missing, forged or over."""


class Forbidden(ModelogError):
    """The user lacks the permission."""


class NotFound(ModelogError):
    """There is no such thing (as of the moment that was asked for)."""


class AlreadyExists(ModelogError):
    """The name is taken."""


class Conflict(ModelogError):
    """Somebody else changed the same thing at the same time."""


class NotAllowed(ModelogError):
    """A rule refuses it in the present state, for example approving one's own model."""


class Unavailable(ModelogError):
    """The platform, or a part of it, does not answer now."""


_KINDS = {
    kind.__name__: kind
    for kind in (Unauthenticated, Forbidden, NotFound, AlreadyExists, Conflict, NotAllowed, Unavailable)
}
_LATER = (503, 504)  # the same call, with its request id, may succeed later


def error_from(problem: Mapping[str, Any], status: int) -> ModelogError:
    """The error for an RFC 9457 problem document."""
    text = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
    correlation_id = str(problem.get("correlation_id", ""))
    if problem.get("title") == "Invalid":
        return Invalid(text, correlation_id=correlation_id, fields=problem.get("errors", ()))
    otherwise = Unavailable if status in _LATER else ModelogError
    return _KINDS.get(str(problem.get("title")), otherwise)(text, correlation_id=correlation_id)
