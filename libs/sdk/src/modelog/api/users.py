"""Users and tokens."""

from __future__ import annotations

from typing import List, Optional, Sequence

from modelog.transport import Transport
from modelog.types import Record, Token, User


class _Users(Record):
    users: List[User] = []


class Users:
    """Who may use the platform."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, roles: Sequence[str]) -> User:
        """Add a user with roles of viewer, developer, reviewer, admin."""
        return self._transport.post("/api/v1/users", User, {"name": name, "roles": list(roles)})

    def list(self, *, as_of: Optional[str] = None) -> List[User]:
        """All users, by name."""
        return self._transport.get("/api/v1/users", _Users, page_size=1000, as_of=as_of).users

    def token(self, user: str, lifetime_s: int = 0) -> Token:
        """A token for a user; 24 hours unless told otherwise."""
        return self._transport.post("/api/v1/tokens", Token, {"user": user, "lifetime_s": lifetime_s})
