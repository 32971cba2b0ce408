"""What happens to a name."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event


@event("registry.NameTaken")
class NameTaken:
    """A thing of a kind got the name; from another one, if that had it and never used it."""

    kind: str
    name: str
    owner: str
    at: datetime


@event("registry.NameReleased")
class NameReleased:
    """The owner let the name go: it has another one."""

    kind: str
    name: str
    owner: str
    at: datetime


NameEvent = NameTaken | NameReleased
