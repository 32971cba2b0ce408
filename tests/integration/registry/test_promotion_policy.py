"""Policies of promotions through gRPC: put in force, kept by version, and replayed over what happened."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from modelog_common.domain.errors import Conflict, Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2, policy_pb2
from modelog_proto.registry.v1.policy_pb2_grpc import PromotionPoliciesStub

PRODUCTION, STAGING = model_pb2.STAGE_PRODUCTION, model_pb2.STAGE_STAGING
TWO = policy_pb2.PromotionRules(stages=[policy_pb2.StageRules(stage=PRODUCTION, reviewers=2)])
SHARP = policy_pb2.PromotionRules(
    stages=[policy_pb2.StageRules(stage=STAGING, thresholds=[policy_pb2.MetricThreshold(metric="auc", minimum=0.8)])]
)


def policies(person: Any) -> Any:
    return PromotionPoliciesStub(person.channel)


async def put(person: Any, rules: Any, **fields: Any) -> Any:
    request = policy_pb2.SetPromotionPolicyRequest(rules=rules, **fields)
    return await policies(person).SetPromotionPolicy(request)


async def replay(person: Any, rules: Any, **fields: Any) -> Any:
    return await policies(person).ReplayPromotions(policy_pb2.ReplayPromotionsRequest(rules=rules, **fields))


@pytest.fixture
async def staged(alice: Any) -> None:
    """flight-delay 1.0.0, by alice, in staging."""
    await alice.upload()
    await alice.model()
    await alice.version(metrics={"auc": 0.7})
    await alice.promote("1.0.0", STAGING)


async def test_the_rules_in_force_decide_and_are_named(alice: Any, bob: Any, staged: None, registry: Any) -> None:
    first = await policies(alice).GetPromotionPolicy(policy_pb2.GetPromotionPolicyRequest())
    assert (first.version, [(s.stage, s.reviewers) for s in first.rules.stages]) == (0, [(STAGING, 0), (PRODUCTION, 1)])
    second = await put(alice, TWO, reason="careful", expected_version=0)
    assert (second.version, second.by, second.reason, second.rules) == (1, "alice", "careful", TWO)
    await bob.review("1.0.0")
    with pytest.raises(NotAllowed, match="needs 2 approvals by people other than alice .*; it has 1, by bob"):
        await alice.promote("1.0.0", PRODUCTION)
    await registry.person("carol").review("1.0.0")
    await alice.promote("1.0.0", PRODUCTION)
    told = await replay(alice, policy_pb2.PromotionRules(), read=common.ReadOptions())
    assert (told.considered, list(told.refused)) == (2, [])

    with pytest.raises(Conflict, match="version 1 of the promotion policy is in force, not 0; alice set it at 2026"):
        await put(bob, SHARP, expected_version=0)
    third = await put(bob, SHARP)
    listed = await policies(bob).ListPromotionPolicies(policy_pb2.ListPromotionPoliciesRequest())
    assert list(listed.policies) == [third, second]
    for asked, found in (({"version": 1}, second), ({}, third), ({"version": 0}, first)):
        assert await policies(bob).GetPromotionPolicy(policy_pb2.GetPromotionPolicyRequest(**asked)) == found
    then = policy_pb2.GetPromotionPolicyRequest(read=common.ReadOptions(as_of=str(second.position)))
    assert await policies(bob).GetPromotionPolicy(then) == second
    with pytest.raises(NotFound, match="there is no version 9 of the promotion policy"):
        await policies(bob).GetPromotionPolicy(policy_pb2.GetPromotionPolicyRequest(version=9))


async def test_what_would_have_been_refused(alice: Any, bob: Any, staged: None, registry: Any) -> None:
    await bob.review("1.0.0")
    registry.clock.advance(timedelta(minutes=5))
    produced = await alice.promote("1.0.0", PRODUCTION)
    await alice.promote("1.0.0", model_pb2.STAGE_ARCHIVED)
    told = await replay(alice, TWO)
    assert told.considered == 2, "what was archived is not looked at"
    refused = told.refused[0]
    assert (refused.promotion.to_stage, refused.promotion.position) == (PRODUCTION, produced.position)
    assert (list(refused.promotion.approved_by), refused.promotion.policy_version) == (["bob"], 0)
    assert list(refused.reasons) == [
        "flight-delay 1.0.0 needs 2 approvals by people other than alice before it goes to production; it has 1, by bob"
    ]
    sharp = await replay(alice, SHARP)
    assert [(r.promotion.to_stage, list(r.reasons)) for r in sharp.refused] == [
        (STAGING, ["auc of flight-delay 1.0.0 is 0.7; staging needs at least 0.8"])
    ]
    freeze = policy_pb2.FreezeWindow(reason="a holiday")
    freeze.starts.FromJsonString("2026-01-01T00:05:00Z")
    freeze.ends.FromJsonString("2026-01-01T00:06:00Z")
    frozen = await replay(alice, policy_pb2.PromotionRules(freezes=[freeze]))
    assert [r.promotion.position for r in frozen.refused] == [produced.position]
    before = await replay(alice, TWO, read=common.ReadOptions(as_of=str(produced.position - 1)))
    assert (before.considered, len(before.refused)) == (1, 0)
    page = await replay(alice, TWO, page=common.Page(size=1))
    rest = await replay(alice, TWO, page=common.Page(size=1, token=page.next_page_token))
    assert [(p.considered, len(p.refused)) for p in (page, rest)] == [(1, 0), (1, 1)]
    assert not rest.next_page_token


async def test_rules_are_set_by_admins_of_the_tenant_and_stay_there(alice: Any, staged: None, registry: Any) -> None:
    with pytest.raises(Forbidden, match=r"platform\.admin"):
        await put(registry.person("dave", "developer", "reviewer"), TWO)
    one = policy_pb2.PromotionRules(stages=[policy_pb2.StageRules(stage=PRODUCTION)])
    with pytest.raises(Invalid, match=r"rules\.stages\[0\]\.reviewers: is 0; production takes four eyes"):
        await put(alice, one)
    with pytest.raises(Invalid, match=r"rules\.stages\[0\]\.reviewers"):
        await replay(alice, one)
    await put(alice, TWO)
    eve = registry.person("eve", tenant="umbrella")
    assert (await policies(eve).GetPromotionPolicy(policy_pb2.GetPromotionPolicyRequest())).version == 0
    assert (await replay(eve, TWO)).considered == 0


async def test_what_is_no_stage_is_named(alice: Any) -> None:
    freeze = policy_pb2.FreezeWindow(stages=[PRODUCTION, model_pb2.STAGE_UNSPECIFIED])
    freeze.starts.FromJsonString("2026-12-20T00:00:00Z")
    freeze.ends.FromJsonString("2027-01-05T00:00:00Z")
    wrong = policy_pb2.PromotionRules(freezes=[freeze])
    for ask in (put, replay):
        with pytest.raises(Invalid, match=r"rules\.freezes\[0\]\.stages\[1\]: is no stage; use STAGE_DEVELOPMENT"):
            await ask(alice, wrong)
    unknown = policy_pb2.PromotionRules(stages=[policy_pb2.StageRules(stage=99)])  # type: ignore[arg-type]
    with pytest.raises(Invalid, match=r"rules\.stages\[0\]\.stage"):
        await put(alice, unknown)
