"""What may be asked of a prediction log's segments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Seal:
    """Vouch for a segment; the fields are those of the event."""

    log_id: str
    number: int
    first: int
    last: int
    count: int
    size_bytes: int
    root: str
    digest: str
    first_answered_at: datetime
    last_answered_at: datetime
    leaves: int


SegmentCommand = Seal
