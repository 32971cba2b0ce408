"""What can be asked of a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class CreateUser:
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class IssueToken:
    user: str
    token_id: str
    lifetime: timedelta


UserCommand = CreateUser | IssueToken
