"""What is known of a user."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from modelog_common.domain.sealed import Sealed

from modelog_gateway.user.events import TokenIssued, UserCreated, UserDescribed, UserErased, UserEvent


@dataclass(frozen=True)
class User:
    """A user; without a name there is none yet."""

    name: str = ""
    roles: tuple[str, ...] = ()
    created_at: datetime | None = None
    token_id: str = ""
    token_expires_at: datetime | None = None
    full_name: Sealed | None = None
    email: Sealed | None = None
    erased_at: datetime | None = None


def evolve(user: User, event: UserEvent) -> User:
    match event:
        case UserCreated(name=name, roles=roles, at=at):
            return replace(user, name=name, roles=tuple(roles), created_at=at)
        case TokenIssued(token_id=token_id, expires_at=expires_at):
            return replace(user, token_id=token_id, token_expires_at=expires_at)
        case UserDescribed(full_name=full_name, email=email):
            return replace(user, full_name=full_name, email=email)
        case UserErased(at=at):
            return replace(user, roles=(), erased_at=at)
        case _:
            assert_never(event)
