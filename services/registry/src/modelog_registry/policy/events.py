"""What happens to a promotion policy."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event

from modelog_registry.rules import Rules


@event("registry.PromotionPolicySet", version=3)
class PromotionPolicySet:
    """A workspace's rules of promotions, or with an empty name the tenant's, became these: version `version`."""

    version: int
    rules: Rules
    reason: str
    by: str
    at: datetime
    workspace: str = ""


PolicyEvent = PromotionPolicySet
