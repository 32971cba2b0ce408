"""Change requests through gRPC: opened, looked at, applied by one; with evidence, as of a moment, and replayed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from modelog_common.domain.errors import Conflict, Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import change_pb2 as pb
from modelog_proto.registry.v1 import compare_pb2, experiment_pb2, model_pb2, policy_pb2
from modelog_proto.registry.v1.change_pb2_grpc import ChangeRequestsStub
from modelog_proto.registry.v1.policy_pb2_grpc import PromotionPoliciesStub

NAME, PRODUCTION = "flight-delay", model_pb2.STAGE_PRODUCTION
TWO = policy_pb2.PromotionRules(stages=[policy_pb2.StageRules(stage=PRODUCTION, reviewers=2)])


def changes(person: Any) -> Any:
    return ChangeRequestsStub(person.channel)


@pytest.fixture
async def staged(alice: Any) -> None:
    """flight-delay 1.0.0 in staging and 1.1.0 in development, by alice."""
    await alice.upload()
    await alice.model()
    await alice.version(metrics={"auc": 0.7})
    await alice.version(metrics={"auc": 0.8})
    await alice.promote("1.0.0", model_pb2.STAGE_STAGING)


async def ask(person: Any, **fields: Any) -> Any:
    wanted: dict[str, Any] = {
        "model": NAME, "version": "1.0.0", "title": "Live", "to_stage": PRODUCTION, "risk": pb.RISK_MEDIUM,
        "risk_reasons": ["little snow in the data"], "reviewers": ["bob"],
    }  # fmt: skip
    return await changes(person).OpenChangeRequest(pb.OpenChangeRequestRequest(**{**wanted, **fields}))


async def approve(person: Any, **fields: Any) -> Any:
    wanted = {"model": NAME, "number": 1, "decision": model_pb2.CHANGE_DECISION_APPROVED, "comment": "looked"}
    return await changes(person).ReviewChangeRequest(pb.ReviewChangeRequestRequest(**{**wanted, **fields}))


async def apply(person: Any, **fields: Any) -> Any:
    return await changes(person).ApplyChangeRequest(
        pb.ApplyChangeRequestRequest(**{"model": NAME, "number": 1, **fields})
    )


async def get(person: Any, as_of: str = "") -> Any:
    read = common.ReadOptions(as_of=as_of)
    return await changes(person).GetChangeRequest(pb.GetChangeRequestRequest(model=NAME, number=1, read=read))


async def test_a_request_from_question_to_promotion(alice: Any, bob: Any, staged: None) -> None:
    opened = await ask(alice, request_id="once", asked=["carol"])
    assert await ask(alice, request_id="once", asked=["carol"]) == opened
    assert (opened.number, opened.state, list(opened.missing)) == (1, pb.CHANGE_STATE_OPEN, ["bob"])
    with pytest.raises(NotAllowed, match="needs the approval of bob; flight-delay 1.0.0 needs an approval"):
        await apply(alice)
    with pytest.raises(NotAllowed, match="alice registered flight-delay 1.0.0 and may not review"):
        await approve(alice)
    said = await changes(bob).CommentOnChangeRequest(
        pb.CommentOnChangeRequestRequest(model=NAME, number=1, comment="and in winter?")
    )
    assert [(c.by, c.text) for c in said.comments] == [("bob", "and in winter?")]
    approved = await approve(bob, evidence_revision=1)
    assert (approved.state, list(approved.approved_by)) == (pb.CHANGE_STATE_APPROVED, ["bob"])
    applied = await apply(alice)
    assert (applied.state, applied.ended_by) == (pb.CHANGE_STATE_APPLIED, "alice")

    version = await alice.models.GetVersion(model_pb2.GetVersionRequest(model=NAME, version="1.0.0"))
    assert (version.stage, version.stage_by) == (PRODUCTION, "alice")
    assert await get(bob, str(opened.position)) == opened
    assert await get(bob, str(approved.position)) == approved
    facts = await alice.models.ListModelHistory(model_pb2.ListModelHistoryRequest(model=NAME, version="1.0.0"))
    told = [(model_pb2.FactKind.Name(f.kind)[10:], f.by, f.change) for f in facts.facts][-5:]
    assert told == [
        ("CHANGE_REQUESTED", "alice", 1),
        ("CHANGE_COMMENTED", "bob", 1),
        ("CHANGE_REVIEWED", "bob", 1),
        ("CHANGE_APPLIED", "alice", 1),
        ("VERSION_PROMOTED", "alice", 1),
    ]
    assert facts.facts[-1].approval_id == facts.facts[-3].approval_id != ""


async def test_of_two_who_apply_at_once_one_is_told_who_was_first(
    alice: Any, bob: Any, staged: None, registry: Any
) -> None:
    await ask(alice)
    await approve(bob)
    registry.clock.advance(timedelta(minutes=5))
    people = {"alice": alice, "bob": bob}
    answers = dict(zip(people, await asyncio.gather(*map(apply, people.values()), return_exceptions=True), strict=True))
    lost = {name: answer for name, answer in answers.items() if isinstance(answer, Conflict)}
    assert len(lost) == 1
    (loser,) = lost
    (winner,) = set(people) - {loser}
    assert str(lost[loser]) == f"change request 1 of flight-delay was applied by {winner} at 2026-01-01 00:05:00 UTC"
    facts = await alice.models.ListModelHistory(model_pb2.ListModelHistoryRequest(model=NAME))
    assert [f.by for f in facts.facts if f.to_stage == PRODUCTION and f.from_stage] == [winner]


async def test_evidence_is_kept_as_it_was_seen(alice: Any, bob: Any, staged: None) -> None:
    await alice.experiment()
    run = await alice.run(parameters={"depth": 3})
    report = await alice.upload(b"<p>fine</p>")
    given = [
        pb.EvidenceInput(name="run", kind=pb.EVIDENCE_KIND_RUN, link=run.id),
        pb.EvidenceInput(
            name="compared", kind=pb.EVIDENCE_KIND_COMPARISON, link=f"{NAME}/1.0.0,{NAME}/1.1.0"
        ),
        pb.EvidenceInput(name="report", kind=pb.EVIDENCE_KIND_VALIDATION_REPORT, digest=report.digest),
    ]  # fmt: skip
    opened = await ask(alice, evidence=given)
    assert {e.name: bool(e.position) for e in opened.evidence} == {"run": True, "compared": True, "report": False}
    seen = {e.name: e for e in opened.evidence}
    await alice.experiments.LogRun(experiment_pb2.LogRunRequest(run_id=run.id, tags={"later": "yes"}))
    then = common.ReadOptions(as_of=str(seen["run"].position))
    again = await bob.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=run.id, read=then))
    assert digest(again) == seen["run"].digest
    compared = await bob.comparisons.CompareVersions(
        compare_pb2.CompareVersionsRequest(versions=[f"{NAME}/1.0.0", f"{NAME}/1.1.0"], read=then)
    )
    assert digest(compared) == seen["compared"].digest

    approved = await approve(bob)
    assert approved.state == pb.CHANGE_STATE_APPROVED
    newer = await alice.upload(b"<p>better</p>")
    renewed = await changes(alice).AttachEvidence(
        pb.AttachEvidenceRequest(
            model=NAME,
            number=1,
            evidence=pb.EvidenceInput(
                name="report", kind=pb.EVIDENCE_KIND_VALIDATION_REPORT, digest=newer.digest
            ),
        )
    )  # fmt: skip
    assert (renewed.state, renewed.evidence_revision) == (pb.CHANGE_STATE_OPEN, 2)
    assert [review.in_force for review in renewed.reviews] == [False]
    with pytest.raises(NotAllowed, match="the approval of .* by bob is of older evidence; alice attached report at"):
        await apply(alice)
    with pytest.raises(Conflict, match="is at revision 2, not 1; alice attached report"):
        await approve(bob, evidence_revision=1)
    await approve(bob, evidence_revision=2)
    assert (await apply(bob)).state == pb.CHANGE_STATE_APPLIED


def digest(message: Any) -> str:
    """As the contract says: the REST answer as JSON, with sorted keys and no white space."""
    plain = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def test_what_is_not_there_is_no_evidence(alice: Any, staged: None) -> None:
    for given, message in (
        ({"kind": pb.EVIDENCE_KIND_RUN, "link": "nothing"}, r"evidence\[0\]\.link: there is no run 'nothing'"),
        ({"kind": pb.EVIDENCE_KIND_OTHER, "digest": "0" * 64}, r"evidence\[0\]\.digest: 0+ is not in the artifact"),
        ({"kind": pb.EVIDENCE_KIND_VALIDATION_REPORT}, r"evidence\[0\]\.digest: is missing; a validation_report is"),
        ({"kind": pb.EVIDENCE_KIND_COMPARISON, "link": NAME}, r"evidence\[0\]\.link: .* names no versions to compare"),
        ({"kind": pb.EVIDENCE_KIND_COMPARISON, "link": f"{NAME}/1.0.0,{NAME}/9.0.0"}, "there is no version '9.0.0'"),
    ):
        with pytest.raises(Invalid, match=message):
            await ask(alice, evidence=[pb.EvidenceInput(name="x", **given)])
    with pytest.raises(Invalid, match="risk_reasons"):
        await ask(alice, risk_reasons=[])
    with pytest.raises(NotFound, match="no change request 7 of a model 'flight-delay'"):
        await changes(alice).GetChangeRequest(pb.GetChangeRequestRequest(model=NAME, number=7))


async def test_the_policy_counts_the_approvals_and_is_replayed(
    alice: Any, bob: Any, staged: None, registry: Any
) -> None:
    policies = PromotionPoliciesStub(alice.channel)
    await policies.SetPromotionPolicy(policy_pb2.SetPromotionPolicyRequest(rules=TWO))
    await ask(alice)
    await approve(bob)
    with pytest.raises(NotAllowed, match="needs 2 approvals by people other than alice .*; it has 1, by bob"):
        await apply(alice)
    await approve(registry.person("carol"))
    await apply(alice)
    then = await policies.ReplayPromotions(policy_pb2.ReplayPromotionsRequest(rules=TWO))
    assert (then.considered, list(then.refused)) == (2, [])
    three = policy_pb2.PromotionRules(stages=[policy_pb2.StageRules(stage=PRODUCTION, reviewers=3)])
    proposed = await policies.ReplayPromotions(policy_pb2.ReplayPromotionsRequest(rules=three))
    (refused,) = proposed.refused
    assert (refused.promotion.change, list(refused.promotion.approved_by)) == (1, ["bob", "carol"])
    assert "it has 2, by bob, carol" in refused.reasons[0]


async def test_a_policy_may_ask_for_requests_and_says_who_had_none(alice: Any, bob: Any, staged: None) -> None:
    rule = policy_pb2.StageRules(stage=PRODUCTION, reviewers=1, needs_change_request=True)
    asks = policy_pb2.PromotionRules(stages=[rule])
    policies = PromotionPoliciesStub(alice.channel)
    assert (await policies.SetPromotionPolicy(policy_pb2.SetPromotionPolicyRequest(rules=asks))).rules == asks
    await bob.review("1.0.0")
    with pytest.raises(NotAllowed, match="flight-delay 1.0.0 goes to production by a change request only; open one"):
        await alice.promote("1.0.0", PRODUCTION)
    await ask(alice)
    await approve(bob)
    await apply(alice)
    replayed = await policies.ReplayPromotions(policy_pb2.ReplayPromotionsRequest(rules=asks))
    assert list(replayed.refused) == []


async def test_the_outlook_says_what_is_wanted_still(alice: Any, bob: Any, staged: None, registry: Any) -> None:
    async def outlook(as_of: str = "", number: int = 1) -> tuple[bool, str]:
        request = pb.GetChangeOutlookRequest(model=NAME, number=number, read=common.ReadOptions(as_of=as_of))
        found = await changes(bob).GetChangeOutlook(request)
        return found.can_be_applied, found.because

    opened = await ask(alice)
    wanted = (
        "change request 1 of flight-delay needs the approval of bob; flight-delay 1.0.0 needs an approval by someone"
    )
    assert await outlook() == (False, f"{wanted} other than alice")
    await approve(bob)
    assert await outlook() == (True, "")
    policies = PromotionPoliciesStub(alice.channel)
    await policies.SetPromotionPolicy(policy_pb2.SetPromotionPolicyRequest(rules=TWO))
    assert not (await outlook())[0]
    assert await outlook(str(opened.position)) == (False, f"{wanted} other than alice")
    assert await outlook(str(opened.position + 1)) == (True, "")
    await approve(registry.person("carol"))
    await apply(alice)
    assert "was applied by alice" in (await outlook())[1]
    with pytest.raises(NotFound, match="no change request 7"):
        await outlook(number=7)


async def test_lists_are_filtered_and_closed_to_others(alice: Any, bob: Any, staged: None, registry: Any) -> None:
    await ask(alice)
    await ask(alice, version="1.1.0", to_stage=model_pb2.STAGE_STAGING, reviewers=[])
    await approve(bob, number=2)
    listed = await changes(bob).ListChangeRequests(pb.ListChangeRequestsRequest())
    assert [c.number for c in listed.changes] == [2, 1]
    for asked, numbers in (
        ({"model": NAME, "version": "1.0.0"}, [1]),
        ({"state": pb.CHANGE_STATE_APPROVED}, [2]),
        ({"model": "another"}, []),
    ):
        found = await changes(bob).ListChangeRequests(pb.ListChangeRequestsRequest(**asked))
        assert [c.number for c in found.changes] == numbers
    viewer, stranger = registry.person("eve", "viewer"), registry.person("eve", tenant="other")
    with pytest.raises(Forbidden):
        await apply(viewer)
    assert not (await changes(stranger).ListChangeRequests(pb.ListChangeRequestsRequest())).changes
