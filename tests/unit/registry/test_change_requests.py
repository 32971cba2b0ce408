"""Change requests by given/when/then: who may look, what makes an approval stale, and what applying decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from modelog_common.domain.errors import AlreadyExists, Conflict, Invalid, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from modelog_common.domain.semver import SemanticVersion
from modelog_common.testing.scenario import NOW, context, scenario
from modelog_registry.artifact import Artifact
from modelog_registry.model.change_commands import (
    ApplyChange,
    AskReviewers,
    AttachEvidence,
    CommentChange,
    RequestChange,
    ReviewChange,
    WithdrawChange,
)
from modelog_registry.model.change_events import (
    ChangeApplied,
    ChangeCommented,
    ChangeDecision,
    ChangeEvidenceAttached,
    ChangeRequested,
    ChangeReviewed,
    ChangeReviewersAsked,
    ChangeWithdrawn,
    Evidence,
    EvidenceKind,
    Risk,
)
from modelog_registry.model.change_state import ChangeState
from modelog_registry.model.commands import PromoteVersion
from modelog_registry.model.decide import MODEL
from modelog_registry.model.events import (
    ModelEvent,
    ModelRegistered,
    VersionDeleted,
    VersionPromoted,
    VersionRegistered,
    VersionReviewed,
)
from modelog_registry.model.signature import Signature, Tensor
from modelog_registry.model.stage import Decision, Stage
from modelog_registry.rules import Freeze, PolicyVersion, Rules, StageRules

V1 = SemanticVersion(1, 0, 0)
ID = derived_id("acme", "m")
OF = (ID, "m", "1.0.0", 1)
REPORT = Evidence("report", EvidenceKind.VALIDATION_REPORT, "report.html", "a" * 64)
NEW_REPORT = Evidence("report", EvidenceKind.VALIDATION_REPORT, "report.html", "b" * 64)
STAGED: list[ModelEvent] = [
    ModelRegistered(ID, "m", "", "alice", {}, NOW),
    VersionRegistered(
        ID, "m", "1.0.0", "alice", "", "", (), "xgboost", Artifact("f", "a" * 64, 1),
        Signature((Tensor("x", "FP32"),), (Tensor("y", "FP32"),)), {"auc": 0.7}, {}, "r", NOW,
    ),
    VersionPromoted(ID, "m", "1.0.0", Stage.DEVELOPMENT, Stage.STAGING, "", "", "alice", NOW),
]  # fmt: skip
ASK = RequestChange("m", V1, "Live", Stage.PRODUCTION, Risk.LOW, ("small",), reviewers=("bob",), evidence=(REPORT,))
TWO = PolicyVersion(3, Rules((StageRules(Stage.PRODUCTION, 2),)))


def asked(by: str = "alice", reviewers: tuple[str, ...] = ("bob",)) -> ChangeRequested:
    return ChangeRequested(
        *OF, "Live", "", Stage.PRODUCTION, "", Risk.LOW, ("small",), reviewers, (), (REPORT,), by, "request-1", NOW
    )


def said(by: str, decision: ChangeDecision = ChangeDecision.APPROVED, revision: int = 1) -> ChangeReviewed:
    approval = f"by-{by}" if decision is ChangeDecision.APPROVED else ""
    return ChangeReviewed(*OF, decision, "looked", revision, approval, by, NOW)


OPEN: list[ModelEvent] = [*STAGED, asked()]
RENEWED = ChangeEvidenceAttached(*OF, NEW_REPORT, "alice", NOW)
APPLIED = ChangeApplied(*OF, ("by-bob",), "alice", NOW)
PROMOTED = VersionPromoted(ID, "m", "1.0.0", Stage.STAGING, Stage.PRODUCTION, "by-bob", "Live", "alice", NOW, change=1)


def test_a_request_is_numbered_and_keeps_what_it_leans_on() -> None:
    model = scenario(MODEL, given=STAGED, when=ASK, then=[asked()])
    assert model.changes[1].state is ChangeState.OPEN
    scenario(
        MODEL,
        given=[*OPEN, said("carol", ChangeDecision.REJECTED)],
        when=replace(ASK, reviewers=()),
        by=context("bob"),
        then=[
            ChangeRequested(
                ID, "m", "1.0.0", 2, "Live", "", Stage.PRODUCTION, "", Risk.LOW, ("small",), (), (), (REPORT,), "bob",
                "request-1", NOW,
            )
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "error", "refused"),
    [
        (replace(ASK, version=SemanticVersion(9, 0, 0)), NotFound, "m has no version 9.0.0"),
        (replace(ASK, to_stage=Stage.ARCHIVED), Invalid, "to_stage: archived needs no request; allowed: staging, prod"),
        (replace(ASK, to_stage=Stage.STAGING), NotAllowed, "it can go to production or archived"),
        (replace(ASK, reviewers=("alice",)), Invalid, "alice registered the version and may not review it"),
        (replace(ASK, asked=("bob",)), Invalid, "asked: bob is one of reviewers already"),
        (replace(ASK, reviewers=("bob", "bob")), Invalid, "reviewers[1]: bob stands there twice"),
        (replace(ASK, evidence=(REPORT, NEW_REPORT)), Invalid, "evidence: 'report' stands there twice"),
    ],
)
def test_what_cannot_be_asked_for(command: RequestChange, error: type, refused: str) -> None:
    scenario(MODEL, given=STAGED, when=command, refused=refused, error=error)


def test_one_request_at_a_time() -> None:
    scenario(
        MODEL,
        given=OPEN,
        when=replace(ASK, reviewers=()),
        by=context("carol"),
        refused="change request 1 of m asks for m 1.0.0 to go to production already; alice opened it at 2026-01-01",
        error=AlreadyExists,
    )


def test_neither_author_nor_opener_reviews() -> None:
    yes = ReviewChange("m", 1, ChangeDecision.APPROVED, "looked")
    scenario(MODEL, given=OPEN, when=yes, by="alice", refused="alice registered m 1.0.0 and may not review")
    given = [*STAGED, asked("carol")]
    scenario(MODEL, given=given, when=yes, by="carol", refused="carol opened change request 1 of m and may not review")
    model = scenario(
        MODEL,
        given=given,
        when=yes,
        by="bob",
        then=[ChangeReviewed(*OF, ChangeDecision.APPROVED, "looked", 1, approval_of("request-1"), "bob", NOW)],
    )
    assert model.changes[1].state is ChangeState.APPROVED
    scenario(MODEL, given=[*given, said("bob")], when=yes, by="bob", then=[])


def approval_of(request_id: str) -> str:
    return derived_id("approval", request_id, ID, "change 1")


def test_renewed_evidence_makes_approvals_stale() -> None:
    given = [*OPEN, said("bob"), RENEWED]
    scenario(MODEL, given=OPEN, when=AttachEvidence("m", 1, REPORT), then=[])
    model = scenario(MODEL, given=[*OPEN, said("bob")], when=AttachEvidence("m", 1, NEW_REPORT), then=[RENEWED])
    assert model.changes[1].state is ChangeState.OPEN
    assert model.changes[1].missing == ("bob",)
    scenario(
        MODEL,
        given=given,
        when=ApplyChange("m", 1),
        refused="the approval of change request 1 of m by bob is of older evidence; alice attached report at",
    )
    scenario(
        MODEL,
        given=given,
        when=ReviewChange("m", 1, ChangeDecision.APPROVED, "looked", seen=1),
        by="bob",
        refused="the evidence of change request 1 of m is at revision 2, not 1; alice attached report at",
        error=Conflict,
    )
    scenario(MODEL, given=[*given, said("bob", revision=2)], when=ApplyChange("m", 1), then=[APPLIED, PROMOTED])


def test_who_asks_for_changes_is_waited_for() -> None:
    waiting = [*OPEN, said("bob"), said("carol", ChangeDecision.CHANGES_ASKED)]
    scenario(MODEL, given=waiting, when=ApplyChange("m", 1), refused="carol asks for changes of change request 1 of m")
    both = ("by-bob", "by-carol")
    scenario(
        MODEL,
        given=[*waiting, said("carol")],
        when=ApplyChange("m", 1),
        then=[
            ChangeApplied(*OF, both, "alice", NOW),
            VersionPromoted(
                ID, "m", "1.0.0", Stage.STAGING, Stage.PRODUCTION, "by-carol", "Live", "alice", NOW, change=1
            ),
        ],
    )


def test_the_policy_counts_the_approvals_of_the_request() -> None:
    one = [*OPEN, said("bob")]
    scenario(MODEL, given=OPEN, when=ApplyChange("m", 1), refused="change request 1 of m needs the approval of bob; m")
    scenario(MODEL, given=one, when=ApplyChange("m", 1, policy=TWO), refused="it has 1, by bob")
    by_version = VersionReviewed(ID, "m", "1.0.0", "dave", Decision.APPROVED, "looked", {}, "by-dave", NOW)
    promoted = VersionPromoted(
        ID, "m", "1.0.0", Stage.STAGING, Stage.PRODUCTION, "by-bob", "Live", "alice", NOW, 3, change=1
    )
    scenario(MODEL, given=[*one, by_version], when=ApplyChange("m", 1, policy=TWO), then=[APPLIED, promoted])
    frozen = PolicyVersion(4, Rules((), (Freeze(NOW, NOW + timedelta(days=1), "the holidays"),)))
    scenario(MODEL, given=one, when=ApplyChange("m", 1, policy=frozen), refused="promotions are frozen from")


def test_a_policy_may_ask_for_requests() -> None:
    asks = PolicyVersion(5, Rules((StageRules(Stage.PRODUCTION, 1, (), True),)))
    by_version = VersionReviewed(ID, "m", "1.0.0", "dave", Decision.APPROVED, "looked", {}, "by-dave", NOW)
    scenario(
        MODEL,
        given=[*STAGED, by_version],
        when=PromoteVersion("m", V1, Stage.PRODUCTION, policy=asks),
        refused="m 1.0.0 goes to production by a change request only; open one",
        error=NotAllowed,
    )
    promoted = VersionPromoted(
        ID, "m", "1.0.0", Stage.STAGING, Stage.PRODUCTION, "by-bob", "Live", "alice", NOW, 5, change=1
    )
    scenario(MODEL, given=[*OPEN, said("bob")], when=ApplyChange("m", 1, policy=asks), then=[APPLIED, promoted])


def test_a_rejection_of_the_version_takes_the_approvals_before_it_away() -> None:
    rejected = VersionReviewed(ID, "m", "1.0.0", "dave", Decision.REJECTED, "leaks", {}, "", NOW)
    given = [*OPEN, said("bob"), rejected]
    scenario(MODEL, given=given, when=ApplyChange("m", 1), refused="dave rejected m 1.0.0 (leaks)")
    given = [*OPEN, rejected, said("bob")]
    scenario(MODEL, given=given, when=ApplyChange("m", 1), then=[APPLIED, PROMOTED])


def test_who_comes_second_is_told_who_was_first() -> None:
    done = [*OPEN, said("bob"), APPLIED, PROMOTED]
    scenario(
        MODEL,
        given=done,
        when=ApplyChange("m", 1),
        by="carol",
        refused="change request 1 of m was applied by alice at 2026-01-01 00:00:00 UTC",
        error=Conflict,
    )
    moved = VersionPromoted(ID, "m", "1.0.0", Stage.STAGING, Stage.PRODUCTION, "x", "", "dave", NOW)
    scenario(
        MODEL,
        given=[*OPEN, said("bob"), moved],
        when=ApplyChange("m", 1),
        refused="m 1.0.0 is in production already, without change request 1 of m; dave moved it there at 2026",
        error=Conflict,
    )
    deleted = VersionDeleted(ID, "m", "1.0.0", "", "dave", NOW)
    scenario(MODEL, given=[*OPEN, deleted], when=ApplyChange("m", 1), refused="no version 1.0.0 any more: dave deleted")


def test_how_a_request_ends() -> None:
    rejected = [*OPEN, said("carol", ChangeDecision.REJECTED)]
    withdrawn = [*OPEN, ChangeWithdrawn(*OF, "not now", "alice", NOW)]
    for command in (ApplyChange("m", 1), AttachEvidence("m", 1, NEW_REPORT), AskReviewers("m", 1, ("dave",))):
        scenario(
            MODEL, given=rejected, when=command, refused="was rejected by carol at 2026-01-01 00:00:00 UTC (looked"
        )
        scenario(
            MODEL, given=withdrawn, when=command, refused="was withdrawn by alice at 2026-01-01 00:00:00 UTC; open"
        )
    scenario(MODEL, given=OPEN, when=WithdrawChange("m", 1, "not now"), then=[withdrawn[-1]])
    scenario(MODEL, given=withdrawn, when=WithdrawChange("m", 1, "again"), then=[])
    scenario(MODEL, given=OPEN, when=WithdrawChange("m", 1), by="bob", refused="alice opened change request 1 of m and")
    scenario(MODEL, given=OPEN, when=ApplyChange("m", 2), refused="m has no change request 2; it has 1", error=NotFound)


def test_people_talk_also_afterwards() -> None:
    late = [*OPEN, said("carol", ChangeDecision.REJECTED)]
    told = ChangeCommented(*OF, "a pity", "bob", NOW)
    assert scenario(MODEL, given=late, when=CommentChange("m", 1, "a pity"), by="bob", then=[told]).changes[1].comments
    more = ChangeReviewersAsked(*OF, ("dave",), "alice", NOW)
    scenario(MODEL, given=OPEN, when=AskReviewers("m", 1, ("dave", "bob")), then=[more])
    scenario(MODEL, given=[*OPEN, more], when=AskReviewers("m", 1, ("dave",)), then=[])
