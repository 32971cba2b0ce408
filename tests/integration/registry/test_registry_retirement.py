"""Retirement through gRPC and by the registry itself: announced, objected to, carried out once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from modelog_common.domain.errors import Forbidden, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import model_pb2, sla_pb2, webhook_pb2
from modelog_proto.registry.v1 import retire_pb2 as pb
from modelog_proto.registry.v1.retire_pb2_grpc import RetirementsStub
from modelog_proto.registry.v1.sla_pb2_grpc import ModelSlasStub
from modelog_registry.handle import retiring

NAME = "flight-delay"
RULE = pb.RetirementRule(
    stage=model_pb2.STAGE_DEVELOPMENT,
    condition=pb.RETIREMENT_CONDITION_UNUSED,
    after_days=30,
    announce_days=7,
)
PATIENCE_S = 150
DAY = timedelta(days=1)


def retirements(person: Any) -> Any:
    return RetirementsStub(person.channel)


async def put(person: Any, *rules: Any, **fields: Any) -> Any:
    return await retirements(person).SetRetirementPolicy(pb.SetRetirementPolicyRequest(rules=rules, **fields))


async def check(person: Any) -> tuple[int, int]:
    found = await retirements(person).CheckRetirements(pb.CheckRetirementsRequest(request_id="look"))
    return found.considered, found.changed


async def listed(person: Any, as_of: str = "", **fields: Any) -> list[tuple[str, str]]:
    read = common.ReadOptions(as_of=as_of)
    found = await retirements(person).ListRetirements(pb.ListRetirementsRequest(read=read, **fields))
    return [(r.version, pb.RetirementState.Name(r.state)[17:]) for r in found.retirements]


def later(registry: Any, by: timedelta) -> tuple[Any, Any]:
    """Alice and bob some time later, with tokens that are good then."""
    registry.clock.advance(by)
    return registry.person("alice"), registry.person("bob")


@pytest.fixture
async def versions(alice: Any) -> None:
    """flight-delay 1.0.0 and 1.1.0."""
    await alice.upload()
    await alice.model()
    for _ in range(2):
        await alice.version()


async def test_a_retirement_is_announced_objected_to_and_carried_out(
    alice: Any, bob: Any, versions: None, registry: Any
) -> None:
    assert await check(alice) == (1, 0)
    await put(alice, RULE, reason="tidy", expected_version=0)
    alice, bob = later(registry, 31 * DAY)
    assert await check(alice) == (1, 1)
    assert await check(alice) == (1, 0), "what a policy says of a model on a day is said once"
    assert await listed(bob) == [("1.0.0", "ANNOUNCED"), ("1.1.0", "ANNOUNCED")]
    found = (await retirements(bob).ListRetirements(pb.ListRetirementsRequest())).retirements[0]
    assert found.reason == "unused in development since 2026-01-01 00:00:00 UTC"
    assert (found.due.ToDatetime() - found.announced_at.ToDatetime(), found.policy_version) == (7 * DAY, 1)
    kept = await retirements(bob).ObjectToRetirement(
        pb.ObjectToRetirementRequest(model=NAME, version="1.1.0", reason="needed")
    )
    assert (kept.state, kept.ended_by, kept.ended_because) == (pb.RETIREMENT_STATE_OBJECTED, "bob", "needed")
    alice, bob = later(registry, 6 * DAY)
    assert await check(alice) == (1, 0)
    alice, bob = later(registry, DAY)
    assert await check(alice) == (1, 1)
    assert await listed(bob) == [("1.0.0", "ARCHIVED"), ("1.1.0", "OBJECTED")]
    assert await listed(bob, state=pb.RETIREMENT_STATE_OBJECTED) == [("1.1.0", "OBJECTED")]
    assert await listed(bob, str(found.position + 1)) == [("1.0.0", "ANNOUNCED"), ("1.1.0", "ANNOUNCED")]
    gone = await alice.models.GetVersion(model_pb2.GetVersionRequest(model=NAME, version="1.0.0"))
    assert (gone.stage, gone.stage_by) == (model_pb2.STAGE_ARCHIVED, "service:registry")
    facts = await alice.models.ListModelHistory(model_pb2.ListModelHistoryRequest(model=NAME, version="1.0.0"))
    assert facts.facts[-1].reason == "retired: unused in development since 2026-01-01 00:00:00 UTC"


async def test_webhooks_are_told_of_retirements(
    tmp_path: Path, registry_with: Callable[..., AbstractAsyncContextManager[Any]], receiver: Any
) -> None:
    words = ("announced", "objected", "called_off", "carried_out")
    async with registry_with(tmp_path, webhook_networks="127.0.0.0/8") as registry:
        alice = registry.person("alice")
        kinds = [f"model_version_retirement.{word}" for word in words]
        hook = webhook_pb2.CreateWebhookRequest(name="ci", url=receiver.url, events=kinds, model=NAME)
        await alice.webhooks.CreateWebhook(hook)
        await alice.upload()
        await alice.model()
        for _ in range(3):
            await alice.version()
        await put(alice, RULE)
        alice, bob = later(registry, 31 * DAY)
        await check(alice)
        await retirements(bob).ObjectToRetirement(
            pb.ObjectToRetirementRequest(model=NAME, version="1.1.0", reason="needed")
        )
        move = model_pb2.PromoteVersionRequest(model=NAME, version="1.2.0", stage=model_pb2.STAGE_STAGING, reason="up")
        await alice.models.PromoteVersion(move)
        alice, bob = later(registry, 7 * DAY)
        await check(alice)
        came = await receiver.until(6)
    told = sorted((r.told["data"]["semantic_version"], r.told["action"], r.told["data"]["by"]) for r in came)
    us = "service:registry"
    assert told == [
        ("1.0.0", "announced", us),
        ("1.0.0", "carried_out", us),
        ("1.1.0", "announced", us),
        ("1.1.0", "objected", "bob"),
        ("1.2.0", "announced", us),
        ("1.2.0", "called_off", "alice"),
    ]
    by_word = {r.told["action"]: r.told["data"] for r in came if r.told["data"]["semantic_version"] == "1.0.0"}
    assert by_word["announced"]["reason"] == "unused in development since 2026-01-01 00:00:00 UTC"
    assert by_word["announced"]["due"].startswith("2026-02-08T")
    assert by_word["carried_out"]["reason"] == f"retired: {by_word['announced']['reason']}"
    assert by_word["carried_out"]["version"] == "1"


async def test_the_registry_looks_by_itself(
    tmp_path: Path, registry_with: Callable[..., AbstractAsyncContextManager[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retiring, "PERIOD_S", 0.05)
    async with registry_with(tmp_path) as registry:
        alice = registry.person("alice")
        await alice.upload()
        await alice.model()
        await alice.version()
        await put(alice, RULE)
        alice, _ = later(registry, 31 * DAY)
        async with asyncio.timeout(PATIENCE_S):
            while await listed(alice) != [("1.0.0", "ANNOUNCED")]:
                await asyncio.sleep(0.02)
        alice, _ = later(registry, 7 * DAY)
        async with asyncio.timeout(PATIENCE_S):
            while await listed(alice) != [("1.0.0", "ARCHIVED")]:
                await asyncio.sleep(0.02)


async def test_who_may_not_and_what_is_not_announced(alice: Any, versions: None, registry: Any) -> None:
    viewer, stranger = registry.person("eve", "viewer"), registry.person("eve", tenant="other")
    with pytest.raises(Forbidden):
        await put(viewer, RULE)
    keep = pb.ObjectToRetirementRequest(model=NAME, version="1.0.0", reason="needed")
    with pytest.raises(Forbidden):
        await retirements(viewer).ObjectToRetirement(keep)
    with pytest.raises(NotAllowed, match="no retirement of flight-delay 1.0.0 is announced"):
        await retirements(alice).ObjectToRetirement(keep)
    first = await put(alice, RULE)
    assert (await retirements(alice).GetRetirementPolicy(pb.GetRetirementPolicyRequest())) == first
    nothing = await retirements(alice).GetRetirementPolicy(pb.GetRetirementPolicyRequest(version=0))
    assert (nothing.version, list(nothing.rules)) == (0, [])
    with pytest.raises(NotFound, match="there is no version 7 of the retirement policy"):
        await retirements(alice).GetRetirementPolicy(pb.GetRetirementPolicyRequest(version=7))
    registry.clock.advance(timedelta(minutes=30))
    assert await check(stranger) == (0, 0)


async def test_targets_have_versions(alice: Any, bob: Any, versions: None) -> None:
    slas = ModelSlasStub(alice.channel)
    assert (await slas.GetModelSla(sla_pb2.GetModelSlaRequest(model=NAME))).version == 0
    targets = sla_pb2.SlaTargets(latency_p99_ms=20, availability_percent=99.9)
    first = await slas.SetModelSla(sla_pb2.SetModelSlaRequest(model=NAME, targets=targets, reason="agreed"))
    assert (first.version, first.targets, first.by) == (1, targets, "alice")
    fresh = sla_pb2.SlaTargets(freshness_hours=24)
    second = await slas.SetModelSla(sla_pb2.SetModelSlaRequest(model=NAME, targets=fresh, expected_version=1))
    assert not second.targets.HasField("latency_p99_ms")
    then = common.ReadOptions(as_of=str(first.position))
    assert await slas.GetModelSla(sla_pb2.GetModelSlaRequest(model=NAME, read=then)) == first
    assert list((await slas.ListModelSlas(sla_pb2.ListModelSlasRequest())).slas) == [second, first]
    with pytest.raises(NotFound, match="there is no model 'another'"):
        await slas.GetModelSla(sla_pb2.GetModelSlaRequest(model="another"))
