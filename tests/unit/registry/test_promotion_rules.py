"""The rules of promotions: what each of them refuses and in which words, and how a policy is set."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.errors import Conflict, Invalid, NotAllowed
from modelog_common.domain.ids import derived_id
from modelog_common.domain.semver import SemanticVersion
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.model.commands import PromoteVersion
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import (
    ModelEvent,
    ModelRegistered,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
)
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.policy.commands import SetPolicy
from modelog_registry.policy.decide import POLICY
from modelog_registry.policy.events import PromotionPolicySet
from modelog_registry.rules import (
    BEGINNING,
    Candidate,
    Freeze,
    PolicyVersion,
    Rules,
    StageRules,
    Threshold,
    refusals,
)

V1 = SemanticVersion(1, 0, 0)
ID = derived_id("acme", "m")
DAY = timedelta(days=1)
CANDIDATE = Candidate("m 1.0.0", "alice", {"auc": 0.7, "loss": 0.4})
TWO = Rules((StageRules(Stage.PRODUCTION, 2),))
GOOD = Rules((StageRules(Stage.STAGING, 0, (Threshold("auc", 0.75), Threshold("loss", None, 0.3))),))
FROZEN = Rules((), (Freeze(NOW, NOW + DAY, "the holidays", (Stage.PRODUCTION,)),))
ALL_FROZEN = Rules((), (Freeze(NOW, NOW + DAY),))
REGISTERED = VersionRegistered(
    ID, "m", "1.0.0", "alice", "", "", (), "xgboost", Artifact("f", "a" * 64, 1),
    Signature((Tensor("x", "FP32"),), (Tensor("y", "FP32"),)), {"auc": 0.7}, {}, "r", NOW,
)  # fmt: skip
STAGED: list[ModelEvent] = [
    ModelRegistered(ID, "m", "", "alice", {}, NOW),
    REGISTERED,
    VersionPromoted(ID, "m", "1.0.0", Stage.DEVELOPMENT, Stage.STAGING, "", "", "alice", NOW),
]


def reviewed(reviewer: str, decision: Decision = Decision.APPROVED) -> VersionReviewed:
    approval = f"by-{reviewer}" if decision is Decision.APPROVED else ""
    return VersionReviewed(ID, "m", "1.0.0", reviewer, decision, "looked", {}, approval, NOW)


@pytest.mark.parametrize(
    ("candidate", "stage", "rules", "said"),
    [
        (CANDIDATE, Stage.STAGING, Rules(), []),
        (CANDIDATE, Stage.PRODUCTION, Rules(), ["m 1.0.0 needs an approval by someone other than alice"]),
        (replace(CANDIDATE, approved_by=("bob",)), Stage.PRODUCTION, Rules(), []),
        (
            replace(CANDIDATE, approved_by=("bob",)),
            Stage.PRODUCTION,
            TWO,
            ["m 1.0.0 needs 2 approvals by people other than alice before it goes to production; it has 1, by bob"],
        ),
        (replace(CANDIDATE, approved_by=("bob", "carol")), Stage.PRODUCTION, TWO, []),
        (
            replace(CANDIDATE, rejected_by="bob", rejection="leaks"),
            Stage.STAGING,
            Rules(),
            ["bob rejected m 1.0.0 (leaks); it needs an approval before it goes to staging"],
        ),
        (
            CANDIDATE,
            Stage.STAGING,
            GOOD,
            [
                "auc of m 1.0.0 is 0.7; staging needs at least 0.75",
                "loss of m 1.0.0 is 0.4; staging needs at most 0.3",
            ],
        ),
        (replace(CANDIDATE, metrics={"auc": 0.75, "loss": 0.3}), Stage.STAGING, GOOD, []),
        (
            replace(CANDIDATE, metrics={"auc": 0.8}),
            Stage.STAGING,
            GOOD,
            ["m 1.0.0 has no metric 'loss', which staging needs"],
        ),
        (
            replace(CANDIDATE, approved_by=("bob",)),
            Stage.PRODUCTION,
            FROZEN,
            [
                "m 1.0.0 cannot go to production now; promotions are frozen from 2026-01-01 00:00 to "
                "2026-01-02 00:00 UTC: the holidays"
            ],
        ),
        (CANDIDATE, Stage.STAGING, FROZEN, []),
        (CANDIDATE, Stage.ARCHIVED, ALL_FROZEN, []),
        (CANDIDATE, Stage.STAGING, ALL_FROZEN, ["m 1.0.0 cannot go to staging now; promotions are frozen "
            "from 2026-01-01 00:00 to 2026-01-02 00:00 UTC"]),
    ],
)  # fmt: skip
def test_what_the_rules_refuse(candidate: Candidate, stage: Stage, rules: Rules, said: list[str]) -> None:
    assert refusals(candidate, stage, NOW, rules) == said


@pytest.mark.parametrize(("after", "frozen"), [(timedelta(0), True), (DAY, False), (-timedelta(seconds=1), False)])
def test_a_freeze_ends_when_it_says(after: timedelta, frozen: bool) -> None:
    approved = replace(CANDIDATE, approved_by=("bob",))
    assert bool(refusals(approved, Stage.PRODUCTION, NOW + after, FROZEN)) is frozen


def test_a_promotion_names_the_policy_that_it_was_decided_under() -> None:
    scenario(
        MODEL,
        given=[*STAGED, reviewed("bob"), reviewed("carol")],
        when=PromoteVersion("m", V1, Stage.PRODUCTION, policy=PolicyVersion(7, TWO)),
        then=[
            VersionPromoted(ID, "m", "1.0.0", Stage.STAGING, Stage.PRODUCTION, "by-carol", "", "alice", NOW, 7),
        ],
    )


@pytest.mark.parametrize(
    ("reviews", "has"),
    [
        ([reviewed("bob"), reviewed("bob")], "it has 1, by bob"),
        ([reviewed("bob"), reviewed("carol", Decision.REJECTED), reviewed("dave")], "it has 1, by dave"),
        ([], "it has none"),
    ],
)
def test_approvals_count_once_each_and_since_the_last_rejection(reviews: list[VersionReviewed], has: str) -> None:
    scenario(
        MODEL,
        given=[*STAGED, *reviews],
        when=PromoteVersion("m", V1, Stage.PRODUCTION, policy=PolicyVersion(7, TWO)),
        refused=f"m 1.0.0 needs 2 approvals by people other than alice before it goes to production; {has}",
        error=NotAllowed,
    )


@given(st.lists(st.tuples(st.sampled_from(["bob", "carol", "dave"]), st.sampled_from(Decision)), max_size=8))
def test_the_first_rules_are_those_that_stood_before_there_were_policies(reviews: list[tuple[str, Decision]]) -> None:
    """Production went by the last review: it had to be an approval."""
    state = MODEL.initial()
    for event in [*STAGED, *(reviewed(who, decision) for who, decision in reviews)]:
        state = MODEL.evolve(state, event)
    allowed = bool(reviews) and reviews[-1][1] is Decision.APPROVED
    judged = state.version("m", V1).judged
    assert (not refusals(judged, Stage.PRODUCTION, NOW, BEGINNING.rules)) is allowed


def test_a_policy_counts_its_versions() -> None:
    first = PromotionPolicySet(1, TWO, "careful", "alice", NOW)
    scenario(POLICY, when=SetPolicy(TWO, "careful"), then=[first])
    scenario(POLICY, given=[first], when=SetPolicy(TWO, "again"), by="bob", then=[])
    scenario(POLICY, given=[first], when=SetPolicy(GOOD), by="bob", then=[PromotionPolicySet(2, GOOD, "", "bob", NOW)])
    scenario(
        POLICY,
        given=[first],
        when=SetPolicy(GOOD, expected=0),
        by=context("bob"),
        refused="version 1 of the promotion policy is in force, not 0; alice set it at 2026-01-01 00:00:00 UTC",
        error=Conflict,
    )


@pytest.mark.parametrize(
    ("rules", "field", "said"),
    [
        (Rules((StageRules(Stage.PRODUCTION),)), "rules.stages[0].reviewers", "production takes four eyes: 1 or more"),
        (Rules((StageRules(Stage.ARCHIVED),)), "rules.stages[0].stage", "allowed: staging, production"),
        (Rules((StageRules(Stage.STAGING), StageRules(Stage.STAGING))), "rules.stages[1].stage", "stands there twice"),
        (
            Rules((StageRules(Stage.STAGING, 0, (Threshold("auc"),)),)),
            "rules.stages[0].thresholds[0]",
            "give minimum or maximum",
        ),
        (
            Rules((StageRules(Stage.STAGING, 0, (Threshold("auc", 0.9, 0.1),)),)),
            "rules.stages[0].thresholds[0].maximum",
            "is 0.1, below the minimum 0.9",
        ),
        (Rules((), (Freeze(NOW, NOW),)), "rules.freezes[0].ends", "a window ends after it starts"),
        (
            Rules((), (Freeze(NOW, NOW + DAY, "", (Stage.ARCHIVED,)),)),
            "rules.freezes[0].stages",
            "archived has no rules",
        ),
    ],
)
def test_rules_that_cannot_be_are_refused(rules: Rules, field: str, said: str) -> None:
    scenario(POLICY, when=SetPolicy(rules), refused=said, error=Invalid, field=field)
