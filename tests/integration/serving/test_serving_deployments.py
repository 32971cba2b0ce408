"""Deployments through their gRPC service: what may be served, how traffic is split, what is refused and why."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.errors import AlreadyExists, Forbidden, Invalid, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import Caller, Rig, model_file, registry_of, serving_of, signature, until

PRODUCTION = pb.DEPLOYMENT_ENVIRONMENT_PRODUCTION


def shares(deployment: pb.Deployment) -> dict[str, float]:
    return {variant.version: variant.percent for variant in deployment.variants}


async def test_a_version_is_deployed_and_seen(alice: Caller) -> None:
    made = await alice.deploy(environment=PRODUCTION)
    assert made.status == pb.DEPLOYMENT_STATUS_RUNNING
    assert (made.name, made.model, made.author, made.error) == ("flights", "flight-delay", "alice", "")
    assert shares(made) == {"1.0.0": 100}
    assert made.signature == signature()
    assert await alice.deployment() == made
    listed = await alice.deployments.ListDeployments(pb.ListDeploymentsRequest())
    assert list(listed.deployments) == [made]


async def test_traffic_is_split_and_the_past_stays(alice: Caller) -> None:
    first = await alice.deploy()
    second = await alice.split(v1_0_0=90, v1_1_0=10)
    assert shares(second) == {"1.0.0": 90, "1.1.0": 10}
    assert shares(await alice.deployment(as_of=str(first.position))) == {"1.0.0": 100}
    with pytest.raises(NotFound, match="no deployment 'flights' as of 1"):
        await alice.deployment(as_of="1")


async def test_requests_sent_twice_count_once(alice: Caller) -> None:
    first = await alice.deploy(request_id="a")
    assert await alice.deploy(request_id="a") == first
    second = await alice.split(v1_1_0=100, request_id="a")
    await alice.split(v1_0_0=50, v1_1_0=50, request_id="b")
    again = await alice.split(v1_1_0=100, request_id="a")
    assert shares(again) == {"1.0.0": 50, "1.1.0": 50}
    assert again.position == second.position + 1


@pytest.mark.parametrize(
    ("percents", "error", "text"),
    [
        ({"v1_0_0": 50}, Invalid, "add up to 50 percent"),
        ({"v1_0_0": 99.9, "v1_1_0": 0.2}, Invalid, "add up to 100.1 percent"),
        ({"v1_0_0": 50, "v9_0_0": 50}, NotFound, "9.0.0"),
        ({"v1_0_0": 101}, Invalid, "shares[0].percent"),
        ({}, Invalid, "shares"),
    ],
)
async def test_a_wrong_split_changes_nothing(
    alice: Caller, percents: dict[str, float], error: type[Exception], text: str
) -> None:
    before = await alice.deploy()
    with pytest.raises(error) as refused:
        await alice.split(**percents)
    assert text in str(refused.value)
    assert await alice.deployment() == before


async def test_production_needs_approval_and_stage(rig: Rig, alice: Caller) -> None:
    version = await alice.version(model_file(2))
    with pytest.raises(NotAllowed, match=r"1\.2\.0 is not approved"):
        await alice.deploy(version, environment=PRODUCTION)
    await rig.caller("bob").approve(version)
    with pytest.raises(NotAllowed, match="is in stage development"):
        await alice.deploy(version, environment=PRODUCTION)
    await alice.promote(version, "staging")
    await alice.deploy(version, environment=PRODUCTION)
    with pytest.raises(AlreadyExists, match="flights already serves flight-delay"):
        await alice.deploy("1.0.0")


async def test_a_model_that_does_not_load_gets_no_traffic(rig: Rig, alice: Caller) -> None:
    before = await alice.deploy()
    broken = await alice.version(b"this is no model")
    with pytest.raises(NotAllowed, match=r"1\.2\.0 cannot be loaded, so nothing was changed: .* not an XGBoost model"):
        await alice.split(v1_0_0=90, v1_2_0=10)
    wrong = await alice.version(model_file(0), signed=signature(("hour", "wind", "rain", "snow")))
    with pytest.raises(NotAllowed, match=r"feature 3 of the model file is 'delay', its signature says 'snow'"):
        await alice.split(v1_3_0=100)
    narrow = await alice.version(model_file(0), signed=signature(("hour", "wind")))
    with pytest.raises(NotAllowed, match="takes 4 features, its signature names 2"):
        await alice.split(v1_4_0=100)
    other = await alice.version(model_file(0), signed=signature(output="early"))
    with pytest.raises(NotAllowed, match=r"its outputs are early FP32\[1\] instead of late FP32\[1\]"):
        await alice.split(v1_5_0=100)
    unknown = await alice.version(model_file(0), flavor="prophet")
    with pytest.raises(NotAllowed, match="flavor 'prophet' cannot be served; this server runs xgboost"):
        await alice.split(v1_6_0=100)
    assert [broken, wrong, narrow, other, unknown] == ["1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0"]
    assert await alice.deployment() == before


async def test_a_stopped_deployment_answers_no_more(alice: Caller) -> None:
    await alice.deploy()
    stopped = await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights", reason="over"))
    assert stopped.status == pb.DEPLOYMENT_STATUS_STOPPED
    assert await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights")) == stopped
    with pytest.raises(NotAllowed, match="was stopped"):
        await alice.split(v1_0_0=100)
    with pytest.raises(AlreadyExists, match="its name stays taken"):
        await alice.deploy()


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a.deployment("none"),
        lambda a: a.split("none", v1_0_0=100),
        lambda a: a.deployments.StopDeployment(pb.StopDeploymentRequest(name="none")),
        lambda a: a.deployments.GetPrediction(pb.GetPredictionRequest(deployment="none", prediction_id="x")),
        lambda a: a.deploy("7.0.0"),
        lambda a: a.deploy(model="none"),
    ],
)
async def test_what_is_not_there_is_named(alice: Caller, call: Any) -> None:
    with pytest.raises(NotFound, match=r"none|7\.0\.0"):
        await call(alice)


async def test_roles_and_tenants_are_kept_apart(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    with pytest.raises(Forbidden, match=r"deployment\.write"):
        await rig.caller("vera", "viewer").split(v1_0_0=100)
    assert (await rig.caller("vera", "viewer").deployment()).name == "flights"
    with pytest.raises(NotFound, match="no deployment 'flights'"):
        await rig.caller("eve", tenant="other").deployment()


async def test_a_restart_needs_no_registry_and_a_rebuild_changes_nothing(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig):
            alice = rig.caller("alice")
            await alice.deploy()
            before = await alice.split(v1_0_0=75, v1_1_0=25)
        rig.registry = "127.0.0.1:1"
        async with serving_of(rig):
            alice = rig.caller("alice")
            await until_running(alice)
            assert await alice.deployment() == before
            await alice.admin.Rebuild(common_pb2.RebuildRequest())
            assert await alice.deployment() == before


async def test_a_damaged_model_file_is_told_and_fetched_again(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig):
            made = await rig.caller().deploy()
        (file,) = (tmp_path / "serving" / "models").rglob(made.variants[0].model_digest)
        file.write_bytes(b"damaged")
        there, rig.registry = rig.registry, "127.0.0.1:1"
        async with serving_of(rig):
            alice = rig.caller()
            await until(lambda: is_failed(alice), "the deployment has failed")
            assert "1.0.0: " in (await alice.deployment()).error
        rig.registry = there
        async with serving_of(rig):
            await until_running(rig.caller())
            assert hashlib.sha256(file.read_bytes()).hexdigest() == made.variants[0].model_digest


async def is_failed(caller: Caller) -> bool:
    return (await caller.deployment()).status == pb.DEPLOYMENT_STATUS_FAILED


async def until_running(caller: Caller) -> None:
    async def is_running() -> bool:
        return (await caller.deployment()).status == pb.DEPLOYMENT_STATUS_RUNNING

    await until(is_running, "the deployment's models are loaded")
