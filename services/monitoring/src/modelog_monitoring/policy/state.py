"""A retraining policy as its events left it."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_monitoring.policy.events import PolicyEvent


@dataclass(frozen=True)
class Policy:
    """A policy; before its first event it has no definition."""

    created: PolicyEvent | None = None


def evolve(policy: Policy, event: PolicyEvent) -> Policy:
    """Fold one event."""
    return Policy(event)
