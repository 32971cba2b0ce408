"""What happens to a link. That somebody saw by it is no event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from modelog_common.domain.ids import derived_id
from modelog_common.events.types import event


class Shared(msgspec.Struct, frozen=True):
    """An experiment, a run (with its experiment), or a version of a model."""

    experiment_id: str = ""
    run_id: str = ""
    # As it was called.
    model: str = ""
    version: str = ""
    model_id: str = ""

    def __str__(self) -> str:
        if self.model:
            return f"{self.model} {self.version}"
        return f"run {self.run_id}" if self.run_id else f"experiment {self.experiment_id}"


@event("registry.LinkMade", version=2)
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


def made_from_1(fields: dict[str, Any]) -> dict[str, Any]:
    """When no model was ever renamed its id was made of its name."""
    shared = fields["shared"]
    if not shared.get("model"):
        return fields
    return {**fields, "shared": {**shared, "model_id": derived_id(fields["tenant"], shared["model"])}}
