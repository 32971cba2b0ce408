"""The rules of setting rules: they are sound, keep four eyes, and nobody overwrites what they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.context import Context
from modelog_common.domain.decider import Decider
from modelog_common.domain.errors import Conflict
from modelog_common.domain.ids import derived_id

from modelog_registry.policy.commands import PolicyCommand
from modelog_registry.policy.events import PolicyEvent, PromotionPolicySet
from modelog_registry.policy.state import Policy, evolve
from modelog_registry.rules import check_rules


def policy_id(tenant: str, workspace: str = "") -> str:
    """The id of a tenant's policy, or of that of one of its workspaces."""
    return derived_id(tenant, "promotion policy", *([workspace] if workspace else []))


def decide(policy: Policy, command: PolicyCommand, ctx: Context) -> Sequence[PolicyEvent]:
    """The same rules again are not an error."""
    check_rules(command.rules)
    known = policy.in_force
    if command.expected is not None and command.expected != known.version:
        last = policy.last
        how = f"{last.by} set it at {last.at:%Y-%m-%d %H:%M:%S} UTC" if last is not None else "nobody set one yet"
        raise Conflict(f"version {known.version} of the promotion policy is in force, not {command.expected}; {how}")
    if command.rules == known.rules:
        return ()
    return [PromotionPolicySet(known.version + 1, command.rules, command.reason, ctx.actor, ctx.now, command.workspace)]


POLICY: Decider[Policy, PolicyCommand, PolicyEvent] = Decider("registry.promotion_policy", Policy, decide, evolve)
