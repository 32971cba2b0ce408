"""The policy of a workspace decides there, else the tenant's: through gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from modelog_common.domain.errors import Conflict, Forbidden, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2, policy_pb2, workspace_pb2
from modelog_proto.registry.v1.policy_pb2_grpc import PromotionPoliciesStub
from modelog_proto.registry.v1.workspace_pb2_grpc import WorkspacesStub

STAGING = model_pb2.STAGE_STAGING


def at_least(auc: float) -> Any:
    """Rules by which a version goes to staging with a metric of at least so much."""
    threshold = policy_pb2.MetricThreshold(metric="auc", minimum=auc)
    return policy_pb2.PromotionRules(stages=[policy_pb2.StageRules(stage=STAGING, thresholds=[threshold])])


def policies(person: Any) -> Any:
    return PromotionPoliciesStub(person.channel)


async def put(person: Any, rules: Any, workspace: str, **fields: Any) -> Any:
    request = policy_pb2.SetWorkspacePolicyRequest(workspace=workspace, rules=rules, **fields)
    return await policies(person).SetWorkspacePolicy(request)


async def in_force(person: Any, workspace: str = "", as_of: str = "") -> Any:
    read = common.ReadOptions(as_of=as_of)
    return await policies(person).GetPromotionPolicy(
        policy_pb2.GetPromotionPolicyRequest(workspace=workspace, read=read)
    )


@pytest.fixture
async def models(alice: Any) -> None:
    """ "in-fraud" in the workspace "fraud" of alice, and "elsewhere", each with a version of an AUC of 0.7."""
    await WorkspacesStub(alice.channel).CreateWorkspace(workspace_pb2.CreateWorkspaceRequest(workspace="fraud"))
    await alice.upload()
    await alice.models.RegisterModel(model_pb2.RegisterModelRequest(name="in-fraud", workspace="fraud"))
    await alice.model("elsewhere")
    for name in ("in-fraud", "elsewhere"):
        await alice.version(name, metrics={"auc": 0.7})


async def test_the_policy_of_a_workspace_decides_there_and_nowhere_else(alice: Any, models: None) -> None:
    assert (await in_force(alice, "fraud")).version == 0
    own = await put(alice, at_least(0.8), "fraud", reason="fraud is serious")
    assert (own.version, own.workspace) == (1, "fraud")
    with pytest.raises(NotAllowed, match="auc"):
        await alice.promote("1.0.0", STAGING, model="in-fraud")
    await alice.promote("1.0.0", STAGING, model="elsewhere")
    tenants = await policies(alice).SetPromotionPolicy(policy_pb2.SetPromotionPolicyRequest(rules=at_least(0.99)))
    assert (tenants.version, tenants.workspace) == (1, "")
    assert await in_force(alice, "fraud") == own
    assert await in_force(alice, "default") == tenants == await in_force(alice)
    assert (await in_force(alice, "fraud", as_of=str(own.position - 1))).version == 0

    loosened = await put(alice, at_least(0.5), "fraud", expected_version=1)
    await alice.promote("1.0.0", STAGING, model="in-fraud")
    with pytest.raises(Conflict, match="version 2"):
        await put(alice, at_least(0.6), "fraud", expected_version=1)
    listed = policy_pb2.ListPromotionPoliciesRequest(workspace="fraud")
    assert list((await policies(alice).ListPromotionPolicies(listed)).policies) == [loosened, own]
    assert [
        p.rules
        for p in (await policies(alice).ListPromotionPolicies(policy_pb2.ListPromotionPoliciesRequest())).policies
    ] == [tenants.rules]


async def test_what_is_replayed_tells_whose_policy_it_was(alice: Any, models: None) -> None:
    await put(alice, at_least(0.5), "fraud")
    for name in ("in-fraud", "elsewhere"):
        await alice.promote("1.0.0", STAGING, model=name)
    asked = policy_pb2.ReplayPromotionsRequest(rules=at_least(0.9))
    everywhere = await policies(alice).ReplayPromotions(asked)
    told = [
        (one.promotion.model, one.promotion.policy_workspace, one.promotion.policy_version)
        for one in everywhere.refused
    ]
    assert told == [("in-fraud", "fraud", 1), ("elsewhere", "", 0)]
    asked.workspace = "fraud"
    there = await policies(alice).ReplayPromotions(asked)
    assert (there.considered, [one.promotion.model for one in there.refused]) == (1, ["in-fraud"])


async def test_who_runs_a_workspace_sets_its_policy(registry: Any, alice: Any, models: None) -> None:
    carol = registry.person("carol", "developer")
    with pytest.raises(Forbidden, match="carol does not run the workspace 'fraud'; ask alice"):
        await put(carol, at_least(0.1), "fraud")
    with pytest.raises(Forbidden, match="platform.admin"):
        await policies(carol).SetPromotionPolicy(policy_pb2.SetPromotionPolicyRequest(rules=at_least(0.1)))
    asked = workspace_pb2.SetWorkspaceMemberRequest(workspace="fraud", user="carol", role="admin")
    await WorkspacesStub(alice.channel).SetWorkspaceMember(asked)
    assert (await put(carol, at_least(0.1), "fraud")).by == "carol"
    with pytest.raises(NotFound, match="no workspace 'frauds'"):
        await put(alice, at_least(0.1), "frauds")
