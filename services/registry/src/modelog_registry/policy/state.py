"""A promotion policy as its events left it."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_registry.policy.events import PolicyEvent, PromotionPolicySet
from modelog_registry.rules import PolicyVersion


@dataclass(frozen=True)
class Policy:
    """The version in force; before its first event it is what every platform begins with."""

    last: PromotionPolicySet | None = None

    @property
    def in_force(self) -> PolicyVersion:
        return (
            PolicyVersion()
            if self.last is None
            else PolicyVersion(self.last.version, self.last.rules, self.last.workspace)
        )


def evolve(policy: Policy, event: PolicyEvent) -> Policy:
    """Fold one event."""
    return Policy(event)
