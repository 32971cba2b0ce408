"""What happens to a promotion policy."""

from __future__ import annotations

from datetime import datetime

from modelog_common.events.types import event

from modelog_registry.rules import Rules


@event("registry.PromotionPolicySet", version=2)
class PromotionPolicySet:
    """A tenant's rules of promotions became these, as version `version` of its policy."""

    version: int
    rules: Rules
    reason: str
    by: str
    at: datetime


PolicyEvent = PromotionPolicySet
