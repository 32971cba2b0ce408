"""What can happen to a user."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import EventTypes, event


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


UserEvent = UserCreated | TokenIssued
EVENTS = EventTypes([UserCreated, TokenIssued])
