"""What can happen to a user."""

from __future__ import annotations

from datetime import datetime

from modelog_common.domain.sealed import Sealed
from modelog_common.events.types import event


@event("gateway.UserCreated")
class UserCreated:
    name: str
    roles: list[str]
    by: str
    at: datetime


@event("gateway.TokenIssued")
class TokenIssued:
    user: str
    token_id: str
    expires_at: datetime
    by: str
    at: datetime


@event("gateway.UserDescribed")
class UserDescribed:
    """The user's full name and e-mail address from now on, sealed; None where there is none."""

    name: str
    full_name: Sealed | None
    email: Sealed | None
    by: str
    at: datetime


@event("gateway.UserErased")
class UserErased:
    """The key that the user's personal data is sealed with was destroyed."""

    name: str
    reason: str
    by: str
    at: datetime


UserEvent = UserCreated | TokenIssued | UserDescribed | UserErased
