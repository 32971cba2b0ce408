"""Webhooks and what was delivered."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional

from modelog.types.records import Record


class Webhook(Record):
    """Where the registry tells of events; the secret is never told."""

    id: str = ""
    name: str = ""
    description: str = ""
    url: str = ""
    events: List[str] = []
    active: bool = False
    model: str = ""
    has_secret: bool = False
    author: str = ""
    created_at: Optional[datetime] = None
    updated_at: Optional[datetime] = None
    position: int = 0


class Attempt(Record):
    """What came of sending once: `status` is 0, and `error` says why, when nobody answered."""

    number: int = 0
    at: Optional[datetime] = None
    status: int = 0
    latency_ms: float = 0.0
    answer: str = ""
    error: str = ""


class Delivery(Record):
    """One event on its way to one webhook; a list leaves `body` and `tried` out."""

    id: str = ""
    webhook_id: str = ""
    event: str = ""
    position: int = 0
    state: str = ""
    attempts: int = 0
    due_at: Optional[datetime] = None
    created_at: Optional[datetime] = None
    changed_at: Optional[datetime] = None
    outcome: str = ""
    body: str = ""
    tried: List[Attempt] = []
