"""A tenant's retirement policy: one event, one command, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Conflict
from modelog_common.domain.ids import derived_id
from modelog_common.events.types import event

from modelog_registry.retiring import NO_RULES, RetirementRule, RetirementRules, check_retirement


@event("registry.RetirementPolicySet")
class RetirementPolicySet:
    """A tenant's rules of retirement became these, as version `version` of its policy."""

    version: int
    rules: tuple[RetirementRule, ...]
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True)
class SetRetirement:
    """Put rules in force; `expected` is the version in force as far as the caller knows."""

    rules: tuple[RetirementRule, ...]
    reason: str = ""
    expected: int | None = None


@dataclass(frozen=True)
class RetirementPolicy:
    """The version in force; before its first event there are no rules."""

    last: RetirementPolicySet | None = None

    @property
    def in_force(self) -> RetirementRules:
        return NO_RULES if self.last is None else RetirementRules(self.last.version, self.last.rules)


def retirement_id(tenant: str) -> str:
    """The id of a tenant's one policy."""
    return derived_id(tenant, "retirement policy")


def decide(policy: RetirementPolicy, command: SetRetirement, ctx: Context) -> Sequence[RetirementPolicySet]:
    """The same rules again are not an error."""
    check_retirement(command.rules)
    known = policy.in_force
    if command.expected is not None and command.expected != known.version:
        last = policy.last
        how = f"{last.by} set it at {last.at:%Y-%m-%d %H:%M:%S} UTC" if last is not None else "nobody set one yet"
        raise Conflict(f"version {known.version} of the retirement policy is in force, not {command.expected}; {how}")
    if command.rules == known.rules:
        return ()
    return [RetirementPolicySet(known.version + 1, command.rules, command.reason, ctx.actor, ctx.now)]


def evolve(policy: RetirementPolicy, event: RetirementPolicySet) -> RetirementPolicy:
    """Fold one event."""
    return RetirementPolicy(event)


RETIREMENT: Decider[RetirementPolicy, SetRetirement, RetirementPolicySet] = Decider(
    "registry.retirement_policy", RetirementPolicy, decide, evolve
)
