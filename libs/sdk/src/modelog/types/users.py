"""Users, their tokens, and the erasure of their data."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types.records import Record


class User(Record):
    name: str = ""
    roles: List[str] = []
    tenant: str = ""
    created_at: Optional[datetime] = None
    position: int = 0
    full_name: str = ""
    email: str = ""
    erased_at: Optional[datetime] = None


class Erasure(Record):
    """Somebody whose key was destroyed; `subject` looks like "user/bob" or "subject/customer-17"."""

    tenant: str = ""
    subject: str = ""
    by: str = ""
    at: Optional[datetime] = None
    reason: str = ""


class Token(Record):
    token: str = ""
    expires_at: Optional[datetime] = None


class Identity(Record):
    user: str = ""
    tenant: str = ""
    roles: List[str] = []
    permissions: List[str] = []
