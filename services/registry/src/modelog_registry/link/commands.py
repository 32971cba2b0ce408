"""What may be asked of a link."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelog_registry.link.events import Shared


@dataclass(frozen=True)
class MakeLink:
    """Share a thing until a time; `secret_sha256` is all that is kept of the secret."""

    link_id: str
    shared: Shared
    secret_sha256: str
    expires_at: datetime


@dataclass(frozen=True)
class RevokeLink:
    """Let nobody see by it any more."""

    link_id: str


LinkCommand = MakeLink | RevokeLink
