"""What can happen to a subject."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event


@event("gateway.SubjectErased")
class SubjectErased:
    """The key was destroyed that predictions about the subject keep their texts sealed with."""

    subject: str
    reason: str
    by: str
    at: datetime


SubjectEvent = SubjectErased
