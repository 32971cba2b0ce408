"""Retirement by given/when/then: announced first, called off when no rule holds, kept when somebody objects."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed, NotFound
from modelog_common.domain.semver import SemanticVersion
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import (
    AliasSet,
    ModelDeleted,
    ModelEvent,
    ModelRegistered,
    VersionPromoted,
    VersionRegistered,
    VersionTagged,
)
from modelog_registry.model.retired import (
    ObjectToRetirement,
    RetirementAnnounced,
    RetirementCalledOff,
    RetirementObjected,
    RetirementState,
    ReviewRetirements,
    SetSla,
    SlaSet,
    SlaTargets,
)
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Stage
from modelog_registry.retirement.policy import RETIREMENT, RetirementPolicySet, SetRetirement
from modelog_registry.retiring import Condition, RetirementRule, RetirementRules

DAY = timedelta(days=1)
V1 = SemanticVersion(1, 0, 0)
UNUSED = RetirementRules(2, (RetirementRule(Stage.DEVELOPMENT, Condition.UNUSED, 30, 7),))
SUPERSEDED = RetirementRules(3, (RetirementRule(Stage.PRODUCTION, Condition.SUPERSEDED, 10, 5),))
MODEL_MADE: list[ModelEvent] = [ModelRegistered("m", "m", "", "alice", {}, NOW)]
WHY = "unused in development since 2026-01-01 00:00:00 UTC"


def made(version: str, at: datetime = NOW) -> VersionRegistered:
    signature = Signature((Tensor("x", "FP32"),), (Tensor("y", "FP32"),))
    return VersionRegistered(
        "m", "m", version, "alice", "", "", (), "xgboost", Artifact("f", "a" * 64, 1), signature, {}, {}, version, at
    )


def moved(
    version: str, before: Stage, after: Stage, at: datetime, reason: str = "", by: str = "alice"
) -> VersionPromoted:
    return VersionPromoted("m", "m", version, before, after, "", reason, by, at)


def announced(
    at: datetime, why: str = WHY, days: int = 7, policy: int = 2, version: str = "1.0.0"
) -> RetirementAnnounced:
    return RetirementAnnounced("m", "m", version, why, at + days * DAY, policy, "service:registry", at)


def look(at: datetime, given: list[ModelEvent], then: list[ModelEvent], rules: RetirementRules = UNUSED) -> None:
    ctx = context("service:registry", now=at)
    scenario(MODEL, given=given, when=ReviewRetirements(rules), by=ctx, then=then)


ONE = [*MODEL_MADE, made("1.0.0")]


def test_unused_versions_are_announced_and_then_archived() -> None:
    look(NOW + 29 * DAY, ONE, [])
    first = announced(NOW + 30 * DAY)
    look(NOW + 30 * DAY, ONE, [first])
    look(NOW + 36 * DAY, [*ONE, first], [])
    due = NOW + 37 * DAY
    gone = moved("1.0.0", Stage.DEVELOPMENT, Stage.ARCHIVED, due, f"retired: {WHY}", "service:registry")
    look(due, [*ONE, first], [gone])
    look(due + DAY, [*ONE, first, gone], [])


def test_what_is_used_again_is_not_retired() -> None:
    first = announced(NOW + 30 * DAY)
    off = RetirementCalledOff("m", "m", "1.0.0", "no rule holds any more", "service:registry", NOW + 40 * DAY)
    for used in (
        VersionTagged("m", "m", "1.0.0", {"a": "b"}, (), "bob", NOW + 35 * DAY),
        AliasSet("m", "m", "champion", "1.0.0", "", "bob", NOW + 35 * DAY),
    ):
        look(NOW + 40 * DAY, [*ONE, first, used], [off])
    tagged = VersionTagged("m", "m", "1.0.0", {"a": "b"}, (), "bob", NOW + 35 * DAY)
    later = announced(NOW + 65 * DAY, "unused in development since 2026-02-05 00:00:00 UTC")
    look(NOW + 65 * DAY, [*ONE, first, tagged, off], [later])
    look(NOW + 40 * DAY, [*ONE, first], [off], RetirementRules(4))


def test_who_objects_keeps_a_version_in_its_stage() -> None:
    first = announced(NOW + 30 * DAY)
    objection = RetirementObjected("m", "m", "1.0.0", "needed", "bob", NOW)
    keep = ObjectToRetirement("m", V1, "needed")
    model = scenario(MODEL, given=[*ONE, first], when=keep, by="bob", then=[objection])
    assert model.versions[V1].retirement is not None
    assert model.versions[V1].retirement.state is RetirementState.OBJECTED
    look(NOW + 400 * DAY, [*ONE, first, objection], [])
    scenario(MODEL, given=[*ONE, first, objection], when=keep, then=[])
    scenario(MODEL, given=ONE, when=keep, refused="no retirement of m 1.0.0 is announced; it is in development; alice")
    on = moved("1.0.0", Stage.DEVELOPMENT, Stage.STAGING, NOW + 40 * DAY)
    staging = RetirementRules(5, (RetirementRule(Stage.STAGING, Condition.UNUSED, 30, 7),))
    why = "unused in staging since 2026-02-10 00:00:00 UTC"
    look(NOW + 99 * DAY, [*ONE, first, objection, on], [announced(NOW + 99 * DAY, why, policy=5)], staging)
    scenario(
        MODEL, given=[*ONE, first, on], when=keep, refused="no retirement of m 1.0.0 is announced", error=NotAllowed
    )
    scenario(
        MODEL, given=ONE, when=replace(keep, version=SemanticVersion(9, 0, 0)), refused="no version 9", error=NotFound
    )


def test_superseded_versions_give_way() -> None:
    both = [*MODEL_MADE, made("1.0.0"), made("1.1.0")]
    for n, version in enumerate(("1.0.0", "1.1.0")):
        both.append(moved(version, Stage.DEVELOPMENT, Stage.STAGING, NOW + n * DAY))
        both.append(moved(version, Stage.STAGING, Stage.PRODUCTION, NOW + n * DAY))
    look(NOW + 10 * DAY, both, [], SUPERSEDED)
    why = "m 1.1.0 took its place in production at 2026-01-02 00:00:00 UTC"
    first = announced(NOW + 11 * DAY, why, 5, 3)
    look(NOW + 11 * DAY, both, [first], SUPERSEDED)
    back = moved("1.1.0", Stage.PRODUCTION, Stage.ARCHIVED, NOW + 12 * DAY)
    off = RetirementCalledOff("m", "m", "1.0.0", "no rule holds any more", "service:registry", NOW + 20 * DAY)
    look(NOW + 20 * DAY, [*both, first, back], [off], SUPERSEDED)


def test_what_is_gone_is_left_alone() -> None:
    look(NOW + 99 * DAY, [], [])
    look(NOW + 99 * DAY, [*ONE, ModelDeleted("m", "m", "", "alice", NOW)], [])


def test_the_policy_of_retirement() -> None:
    first = RetirementPolicySet(1, UNUSED.rules, "tidy", "alice", NOW)
    scenario(RETIREMENT, when=SetRetirement(UNUSED.rules, "tidy"), then=[first])
    scenario(RETIREMENT, given=[first], when=SetRetirement(UNUSED.rules, expected=1), then=[])
    scenario(
        RETIREMENT,
        given=[first],
        when=SetRetirement((), expected=0),
        refused="version 1 of the retirement policy is in force, not 0; alice set it at 2026-01-01 00:00:00 UTC",
        error=Conflict,
    )


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ((RetirementRule(Stage.ARCHIVED, Condition.UNUSED, 1, 1),), "rules[0].stage"),
        ((RetirementRule(Stage.PRODUCTION, Condition.UNUSED, 1, 1),), "rules[0].condition"),
        ((UNUSED.rules[0], UNUSED.rules[0]), "rules[1]"),
    ],
)
def test_rules_that_make_no_sense(rules: tuple[RetirementRule, ...], field: str) -> None:
    scenario(RETIREMENT, when=SetRetirement(rules), refused=field, error=Invalid, field=field)


def test_targets_are_held_with_the_model() -> None:
    targets = SlaTargets(5, 20, 99.9, 48)
    first = SlaSet("m", "m", 1, targets, "agreed", "alice", NOW)
    scenario(MODEL, given=ONE, when=SetSla("m", targets, "agreed", expected=0), then=[first])
    scenario(MODEL, given=[*ONE, first], when=SetSla("m", targets), then=[])
    more = SlaSet("m", "m", 2, SlaTargets(freshness_hours=24), "", "alice", NOW)
    scenario(MODEL, given=[*ONE, first], when=SetSla("m", SlaTargets(freshness_hours=24)), then=[more])
    scenario(
        MODEL,
        given=[*ONE, first],
        when=SetSla("m", SlaTargets(), expected=0),
        refused="version 1 of the targets of m is in force, not 0; alice set it at 2026-01-01 00:00:00 UTC",
        error=Conflict,
    )
    scenario(
        MODEL, given=ONE, when=SetSla("m", SlaTargets(30, 20)), refused="is 30, above latency_p99_ms 20", error=Invalid
    )
    scenario(MODEL, when=SetSla("m", targets), refused="there is no model 'm'", error=NotFound)
