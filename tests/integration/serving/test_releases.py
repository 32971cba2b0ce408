"""Releases of real models under real requests: steps, rollback, and what happens to requests meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelog_common.domain.errors import Forbidden, Invalid, ModelogError, NotAllowed, NotFound
from modelog_proto.common.v1 import common_pb2
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.monitoring.v1 import abtest_pb2
from modelog_proto.serving.v1 import deployment_pb2
from modelog_proto.serving.v1 import release_pb2 as pb
from serving_rig import Caller, Rig, answers_of, model_file, registry_of, serving_of, signature, until

ROW = np.full((1, 4), 0.5, np.float32)
CANARY = {"pattern": pb.RELEASE_PATTERN_CANARY, "steps": [20, 50, 100], "error_margin": 0.2}


def plan(**fields: Any) -> pb.ReleasePlan:
    return pb.ReleasePlan(**(CANARY | fields))


async def start(caller: Caller, version: str = "1.1.0", **fields: Any) -> pb.Release:
    request = pb.StartReleaseRequest(deployment="flights", version=version, plan=plan(**fields), reason="newer")
    made: pb.Release = await caller.releases.StartRelease(request)
    return made


async def release(caller: Caller, **fields: Any) -> pb.Release:
    found: pb.Release = await caller.releases.GetRelease(pb.GetReleaseRequest(deployment="flights", **fields))
    return found


async def back(caller: Caller, version: str = "", **fields: Any) -> dict[str, float]:
    request = pb.RollBackRequest(deployment="flights", version=version, **fields)
    return shares(await caller.releases.RollBack(request))


def shares(deployment: deployment_pb2.Deployment) -> dict[str, float]:
    return {variant.version: variant.percent for variant in deployment.variants}


async def has_ended(caller: Caller) -> bool:
    return (await release(caller)).state != pb.RELEASE_STATE_RUNNING


async def come_to(caller: Caller, **percents: float) -> None:
    """Wait until the traffic is split so: a release decides first, and moves the traffic then."""
    wanted = {version[1:].replace("_", "."): percent for version, percent in percents.items()}

    async def is_so() -> bool:
        return shares(await caller.deployment()) == wanted

    await until(is_so, f"the traffic is {wanted}")


@dataclass
class Traffic:
    """What became of requests by key: each is answered, by a version of the split, with that version's own answer."""

    answers: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@asynccontextmanager
async def traffic(caller: Caller, *, clients: int = 4) -> AsyncIterator[Traffic]:
    """Requests by several clients, each as soon as its last was answered, until the block ends."""
    made, over = Traffic(), asyncio.Event()
    expected = {f"1.{n}.0": answers_of(model_file(n), ROW)[0] for n in (0, 1)}
    tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=[1, 4])

    async def client(number: int) -> None:
        for n in itertools.count():
            if over.is_set():
                return
            request = oip.ModelInferRequest(
                model_name="flights", id=f"{number}-{n}", inputs=[tensor], raw_input_contents=[ROW.tobytes()]
            )
            try:
                answer = await caller.inference.ModelInfer(request)
            except ModelogError as error:
                made.failed.append(str(error))
                continue
            version = answer.parameters["version"].string_param
            made.answers[version] += 1
            made.order.append(version)
            if version in expected:
                assert np.frombuffer(answer.raw_output_contents[0], np.float32)[0] == expected[version]

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
        try:
            yield made
        finally:
            over.set()


async def test_a_canary_of_an_equal_model_comes_through_and_no_request_is_lost(alice: Caller) -> None:
    await alice.deploy()
    begun = await start(alice)
    assert (begun.state, begun.step, begun.percent) == (pb.RELEASE_STATE_RUNNING, 1, 20)
    assert shares(await alice.deployment()) == {"1.0.0": 80, "1.1.0": 20}
    async with traffic(alice) as seen:
        await until(lambda: has_ended(alice), "the release has ended")
        await come_to(alice, v1_1_0=100)
        at = len(seen.order)
        await until(lambda: _is_more(seen, at + 20), "there is traffic after it")
    found = await release(alice)
    assert found.state == pb.RELEASE_STATE_PROMOTED
    assert found.reason.startswith(f"{found.evidence.candidate.requests:,} requests answered; failed requests: 0.000%")
    await come_to(alice, v1_1_0=100)
    assert seen.failed == []
    assert set(seen.answers) == {"1.0.0", "1.1.0"}
    assert seen.order[-1] == "1.1.0"
    asked = pb.ListReleaseLooksRequest(deployment="flights")
    looks = (await alice.releases.ListReleaseLooks(asked)).looks
    events = [look.event for look in looks if look.event != "ReleaseLooked"]
    assert events == ["ReleaseStarted", "ReleaseAdvanced", "ReleasePromoted"]
    assert looks[-1].evidence == found.evidence
    assert found.evidence.compared[0].safety_p <= 0.05
    before = await release(alice, read=common_pb2.ReadOptions(as_of=str(looks[0].position)))
    assert before == begun
    listed = await alice.releases.ListReleases(pb.ListReleasesRequest(deployment="flights"))
    assert list(listed.releases) == [found]


async def test_a_rollback_under_traffic_loses_no_request_and_needs_no_registry(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig):
            alice = rig.caller("alice")
            await alice.deploy()
            await alice.split(v1_1_0=100)
        there, rig.registry = rig.registry, "127.0.0.1:1"
        await roll_back_under_traffic(rig)
        rig.registry = there


async def roll_back_under_traffic(rig: Rig) -> None:
    """What it goes back to is written down and loaded: the registry is away."""
    async with serving_of(rig):
        alice = rig.caller("alice")
        async with traffic(alice, clients=8) as seen:
            await until(lambda: _is_more(seen, 200), "there is traffic")
            assert await back(alice, reason="complaints") == {"1.0.0": 100}
            at = len(seen.order)
            await until(lambda: _is_more(seen, at + 200), "there is traffic after it")
        assert seen.failed == []
        late = sum(version == "1.1.0" for version in seen.order[at:])
        print(f"rollback: {late} of {len(seen.order) - at} requests were still on their way with the later version")
        assert late <= 8, "but for those that were on their way, every request is answered by the earlier version"
        assert seen.answers["1.0.0"] > 0 < seen.answers["1.1.0"]
        assert await back(alice) == {"1.1.0": 100}
        assert await back(alice, "1.0.0") == {"1.0.0": 100}


async def _is_more(seen: Traffic, than: int) -> bool:
    return len(seen.order) > than


async def test_a_rollback_ends_a_running_release(alice: Caller) -> None:
    await alice.deploy()
    await start(alice)
    with pytest.raises(NotAllowed, match=r"1\.1\.0 is being released to flights now"):
        await back(alice, "1.1.0")
    assert await back(alice, reason="complaints") == {"1.0.0": 100}
    found = await release(alice)
    assert (found.state, found.reason) == (pb.RELEASE_STATE_ROLLED_BACK, "rolled back by alice: complaints")
    again = await start(alice)
    assert again.number == 2
    assert (await release(alice, number=1)).state == pb.RELEASE_STATE_ROLLED_BACK


async def test_there_is_no_way_back_to_what_never_answered(alice: Caller) -> None:
    await alice.deploy()
    with pytest.raises(NotAllowed, match="no other version had all of the traffic of flights"):
        await back(alice)
    with pytest.raises(NotFound, match=r"version 1\.1\.0 never answered for flights; these did: 1\.0\.0"):
        await back(alice, "1.1.0")
    with pytest.raises(NotFound, match="no deployment 'none'"):
        await alice.releases.RollBack(pb.RollBackRequest(deployment="none"))


async def test_whoever_sets_the_traffic_ends_the_release(alice: Caller) -> None:
    await alice.deploy()
    await start(alice)
    with pytest.raises(NotAllowed, match=r"1\.1\.0 is being released to flights \(release 1\)"):
        await start(alice)
    await alice.split(v1_0_0=30, v1_1_0=70)
    await until(lambda: has_ended(alice), "the release has ended")
    found = await release(alice)
    assert found.state == pb.RELEASE_STATE_STOPPED
    assert found.reason.endswith("the traffic was set to 1.0.0 30 %, 1.1.0 70 % by somebody else")
    await come_to(alice, v1_0_0=30, v1_1_0=70)
    with pytest.raises(NotAllowed, match=r"1\.0\.0 30 %, 1\.1\.0 70 %; it begins where one version has all of it"):
        await start(alice)


async def test_a_stopped_release_leaves_the_traffic(alice: Caller) -> None:
    await alice.deploy()
    await start(alice)
    stopped = await alice.releases.StopRelease(pb.StopReleaseRequest(deployment="flights", reason="later"))
    assert (stopped.state, stopped.reason) == (pb.RELEASE_STATE_STOPPED, "stopped by alice: later")
    assert shares(await alice.deployment()) == {"1.0.0": 80, "1.1.0": 20}


async def test_blue_green_switches_at_once_and_rolling_by_number(alice: Caller) -> None:
    await alice.deploy()
    await start(alice, pattern=pb.RELEASE_PATTERN_BLUE_GREEN, steps=[], step_requests=50)
    assert shares(await alice.deployment()) == {"1.1.0": 100}
    async with traffic(alice) as seen:
        await until(lambda: has_ended(alice), "blue-green has ended")
        assert (await release(alice)).state == pb.RELEASE_STATE_PROMOTED
        await come_to(alice, v1_1_0=100)
        await start(alice, "1.0.0", pattern=pb.RELEASE_PATTERN_ROLLING, steps=[50, 100], step_requests=50)
        await until(lambda: has_ended(alice), "rolling has ended")
    found = await release(alice)
    assert (found.state, found.candidate, found.step) == (pb.RELEASE_STATE_PROMOTED, "1.0.0", 2)
    await come_to(alice, v1_0_0=100)
    assert seen.failed == []


async def test_a_shadow_is_asked_and_its_answers_go_nowhere(alice: Caller) -> None:
    await alice.deploy()
    same = await alice.version(model_file(0))
    for version, alike in (("1.1.0", False), (same, True)):
        await start(alice, version, pattern=pb.RELEASE_PATTERN_SHADOW, steps=[], step_requests=100)
        async with traffic(alice, clients=2) as seen:
            await until(lambda: has_ended(alice), "the shadow has ended")
        assert seen.failed == []
        assert set(seen.answers) == {"1.0.0"}, "the candidate's answers are not returned"
        found = await release(alice)
        assert found.state == pb.RELEASE_STATE_STOPPED
        mirrored = found.evidence.mirrored
        assert mirrored.compared == found.evidence.candidate.requests >= 100
        assert mirrored.alike == (mirrored.compared if alike else 0)
        assert (mirrored.most_difference > 0.01) is not alike
        assert found.reason.startswith(f"the shadow is over: {mirrored.alike} of {mirrored.compared} answers alike")
        assert shares(await alice.deployment()) == {"1.0.0": 100}


async def test_what_is_undecided_at_its_end_is_rolled_back(alice: Caller) -> None:
    await alice.deploy()
    await start(alice, longest_s=0.1)
    await until(lambda: has_ended(alice), "the release has ended")
    found = await release(alice)
    assert found.state == pb.RELEASE_STATE_ROLLED_BACK
    assert found.reason.startswith("undecided after 0.1 s")
    await come_to(alice, v1_0_0=100)


async def test_a_restart_goes_on_where_the_release_was(tmp_path: Path) -> None:
    async with registry_of(Rig(tmp_path)) as rig:
        async with serving_of(rig):
            alice = rig.caller("alice")
            await alice.deploy()
            begun = await start(alice)
        async with serving_of(rig):
            alice = rig.caller("alice")
            assert await release(alice) == begun
            async with traffic(alice):
                await until(lambda: has_ended(alice), "the release has ended")
            await come_to(alice, v1_1_0=100)
            found = await release(alice)
            await alice.admin.Rebuild(common_pb2.RebuildRequest())
            assert await release(alice) == found


async def test_what_cannot_be_released_changes_nothing(rig: Rig, alice: Caller) -> None:
    before = await alice.deploy()
    broken = await alice.version(b"this is no model")
    other = await alice.version(model_file(0), signed=signature(output="early"))
    outcome = pb.ReleaseOutcome(metric=abtest_pb2.AB_METRIC_ERROR, effect=0.01)
    for version, error, text, fields in (
        (broken, NotAllowed, "cannot be loaded, so nothing was changed", {}),
        (other, NotAllowed, "its outputs are early", {}),
        ("1.0.0", NotAllowed, "served by 1.0.0 already", {}),
        ("9.0.0", NotFound, "9.0.0", {}),
        ("1.1.0", Invalid, "plan.latency_limit_ms is needed: only 0 answers of 1.0.0", {"latency_margin": 0.05}),
        ("1.1.0", Invalid, "plan.steps[1]: is 10; shares rise", {"steps": [20, 10, 100]}),
        ("1.1.0", ModelogError, "MODELOG_PEERS names no address for monitoring", {"outcome": outcome}),
    ):
        with pytest.raises(error) as refused:
            await start(alice, version, **fields)
        assert text in str(refused.value).replace("plan.latency_limit_ms:", "plan.latency_limit_ms")
    assert await alice.deployment() == before
    for call in (release(alice), release(alice, number=3), release(alice, read=common_pb2.ReadOptions(as_of="1"))):
        with pytest.raises(NotFound, match="there is no release"):
            await call
    with pytest.raises(Forbidden, match=r"deployment\.write"):
        await start(rig.caller("vera", "viewer"))
