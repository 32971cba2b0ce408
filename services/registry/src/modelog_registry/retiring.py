"""The rules by which versions that nobody needs are retired, and how they are read and checked."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from modelog_common.domain.errors import Invalid

from modelog_registry.model.stage import Stage


class Condition(StrEnum):
    """When a version is to be retired."""

    UNUSED = "unused"
    SUPERSEDED = "superseded"


class RetirementRule(msgspec.Struct, frozen=True):
    """What holds for `after_days` is announced, and `announce_days` later the version is archived."""

    stage: Stage
    condition: Condition
    after_days: int
    announce_days: int


class RetirementRules(msgspec.Struct, frozen=True):
    """Rules, and which version of the policy they are; every platform begins with none."""

    version: int = 0
    rules: tuple[RetirementRule, ...] = ()


NO_RULES = RetirementRules()


def check_retirement(rules: tuple[RetirementRule, ...]) -> None:
    """Raises Invalid, naming the rule that can never hold or that stands there twice."""
    seen: set[tuple[Stage, Condition]] = set()
    for n, rule in enumerate(rules):
        if rule.stage is Stage.ARCHIVED:
            raise Invalid.field(f"rules[{n}].stage", "archived is the end; allowed: development, staging, production")
        if rule.stage is Stage.PRODUCTION and rule.condition is Condition.UNUSED:
            raise Invalid.field(f"rules[{n}].condition", "the use of production is not seen here; use superseded")
        if (rule.stage, rule.condition) in seen:
            raise Invalid.field(f"rules[{n}]", f"{rule.stage} and {rule.condition} stand there twice")
        seen.add((rule.stage, rule.condition))
