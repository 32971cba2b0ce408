"""The errors of every service: one small tree, mapped to gRPC and to HTTP in one place each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request that cannot be accepted: its path, and what is wrong and what is allowed."""

    field: str
    description: str


class ModelogError(Exception):
    """What every expected error derives from; the text is written for the person who made the call."""


class NotFound(ModelogError):
    """The thing that was named does not exist (as of the moment that was asked for)."""


class AlreadyExists(ModelogError):
    """The name is taken by something else."""


class NotAllowed(ModelogError):
    """A rule of the domain refuses the command in the present state."""


class Forbidden(ModelogError):
    """The caller is known and lacks the permission."""


class Unauthenticated(ModelogError):
    """The caller did not say, or could not prove, who they are."""


class Conflict(ModelogError):
    """Somebody else changed the same thing at the same time."""


class Unavailable(ModelogError):
    """A part that is needed does not answer now; the same call may succeed later."""


class Overloaded(Unavailable):
    """More was asked than can be answered in time; nothing was done, and the same call may succeed later."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Invalid(ModelogError):
    """The request itself is wrong; `violations` names each field."""

    def __init__(self, message: str, violations: Sequence[FieldViolation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)

    @classmethod
    def field(cls, field: str, description: str) -> Invalid:
        """An error about one field; the description says what was wrong and what is allowed."""
        return cls(f"{field}: {description}", [FieldViolation(field, description)])


def first_of(group: BaseException) -> BaseException:
    """The first error within a group of errors, however deep; an error that is no group itself."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
