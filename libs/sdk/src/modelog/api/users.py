"""Users and tokens."""

from __future__ import annotations

from typing import List, Optional, Sequence

from modelog.transport import Transport
from modelog.types import Erasure, Record, Token, User


class _Users(Record):
    users: List[User] = []
    next_page_token: str = ""


class _Erasures(Record):
    erasures: List[Erasure] = []


class _Rotated(Record):
    keys: int = 0


class Users:
    """Who may use the platform."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, roles: Sequence[str], *, full_name: str = "", email: str = "") -> User:
        """Add a user with roles of viewer, developer, reviewer, admin.

        The name stands in the log for good; full name and e-mail address are sealed and can be erased.
        """
        body = {"name": name, "roles": list(roles), "full_name": full_name, "email": email}
        return self._transport.post("/api/v1/users", User, body)

    def describe(self, name: str, *, full_name: str = "", email: str = "") -> User:
        """Replace a user's full name and e-mail address; what is left out is removed."""
        body = {"full_name": full_name, "email": email}
        return self._transport.post(f"/api/v1/users/{name}/details", User, body)

    def erase(self, name: str, reason: str) -> User:
        """Erase a user's personal data for good, in all of the history. The reason is kept: name nobody in it."""
        return self._transport.post(f"/api/v1/users/{name}/erase", User, {"reason": reason})

    def erase_subject(self, subject: str, reason: str) -> Erasure:
        """Erase for good what predictions keep sealed of whom requests named as their `subject`.

        Requests that name it are refused from then on. The reason is kept: name nobody in it.
        """
        return self._transport.post(f"/api/v1/subjects/{subject}/erase", Erasure, {"reason": reason})

    def erasures(self) -> List[Erasure]:
        """Everybody who was erased, of all tenants: keep the list where a restore of the platform finds it."""
        return self._transport.get("/api/v1/erasures", _Erasures).erasures

    def rotate_master_key(self) -> int:
        """Take a new master key into use; returns how many keys of personal data were wrapped with it."""
        return self._transport.post("/api/v1/master-key/rotate", _Rotated, {}).keys

    def list(self, *, as_of: Optional[str] = None) -> List[User]:
        """All users, by name."""
        return self._transport.every("/api/v1/users", _Users, lambda page: page.users, as_of=as_of)

    def token(self, user: str, lifetime_s: int = 0) -> Token:
        """A token for a user; 24 hours unless told otherwise."""
        return self._transport.post("/api/v1/tokens", Token, {"user": user, "lifetime_s": lifetime_s})
