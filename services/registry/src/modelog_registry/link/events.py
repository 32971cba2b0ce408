"""What happens to a link. That somebody saw by it is no event."""

from __future__ import annotations

from datetime import datetime

import msgspec
from modelog_common.events.types import event


class Shared(msgspec.Struct, frozen=True):
    """An experiment, a run (with its experiment), or a version of a model."""

    experiment_id: str = ""
    run_id: str = ""
    model: str = ""
    version: str = ""

    def __str__(self) -> str:
        if self.model:
            return f"{self.model} {self.version}"
        return f"run {self.run_id}" if self.run_id else f"experiment {self.experiment_id}"


@event("registry.LinkMade")
class LinkMade:
    """A thing was shared; whoever has the secret, whose SHA-256 this holds, sees it until it expires."""

    link_id: str
    tenant: str
    shared: Shared
    secret_sha256: str
    expires_at: datetime
    by: str
    at: datetime


@event("registry.LinkRevoked")
class LinkRevoked:
    """Nobody sees by it any more."""

    link_id: str
    by: str
    at: datetime


LinkEvent = LinkMade | LinkRevoked
