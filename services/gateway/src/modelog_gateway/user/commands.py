"""What can be asked of a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from modelog_common.domain.sealed import Sealed


@dataclass(frozen=True)
class CreateUser:
    name: str
    roles: tuple[str, ...]
    full_name: Sealed | None = None
    email: Sealed | None = None


@dataclass(frozen=True)
class DescribeUser:
    name: str
    full_name: Sealed | None
    email: Sealed | None


@dataclass(frozen=True)
class EraseUser:
    name: str
    reason: str


@dataclass(frozen=True)
class IssueToken:
    user: str
    token_id: str
    lifetime: timedelta


UserCommand = CreateUser | DescribeUser | EraseUser | IssueToken
