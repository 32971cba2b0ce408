"""Deployments whose models are computed on Ray Serve: the answers, the evidence, and what becomes of replicas.

All of it on one Ray, which takes minutes to start on a busy machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from modelog_common.domain.errors import ModelogError, NotAllowed, Unavailable
from modelog_platform.parts.ports import free_port
from modelog_proto.serving.v1 import deployment_pb2 as pb
from ray_rig import PATIENCE_S, ROWS, RayHead, answer, deploy, ray_head
from serving_rig import Caller, Process, Rig, answers_of, model_file, registry_of, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head() as made:
        yield made


@pytest.fixture
def on_ray(head: RayHead, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RayHead:
    """Serving that is started now has its models there, and nobody else's."""
    monkeypatch.setenv("MODELOG_SERVING_REPLICAS", "ray")
    monkeypatch.setenv("MODELOG_SERVING_RAY_ADDRESS", head.address)
    monkeypatch.setenv("MODELOG_SERVING_RAY_CPUS", "0.5")
    monkeypatch.setenv("MODELOG_SERVING_RAY_UNUSED_S", "1")
    return head


@asynccontextmanager
async def apart(rig: Rig) -> AsyncIterator[None]:
    """Serving in a process of its own: a process that was on one Ray keeps its token, or that it had none, for ever."""
    process = Process(rig)
    await process.start()
    try:
        yield
    finally:
        process.terminate()


@pytest.fixture
async def rig(on_ray: RayHead, tmp_path: Path) -> AsyncIterator[Rig]:
    async with registry_of(Rig(tmp_path)) as made, apart(made):
        yield made


@pytest.fixture
def alice(rig: Rig) -> Caller:
    return rig.caller("alice")


async def test_answers_are_those_of_the_library_and_are_logged_and_replayed_alike(rig: Rig, alice: Caller) -> None:
    await deploy(alice)
    expected = answers_of(model_file(0), ROWS)
    found = await answer(alice, ROWS, "p")
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert list(await answer(alice, ROWS, "p")) == list(found), "the same id is answered from the log"
    alone = await asyncio.gather(*(answer(alice, ROWS[n : n + 1], f"q{n}") for n in range(50)))
    np.testing.assert_array_equal(np.concatenate(alone), found[:50])
    logged = await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="flights", prediction_id="p.7"))
    assert list(logged.outputs) == [found[7]]
    replayed = await alice.deployments.ReplayPredictions(pb.ReplayPredictionsRequest(deployment="flights"))
    assert len(replayed.prediction_ids) == len(ROWS) + 50
    assert list(replayed.logged) == list(replayed.replayed)


@pytest.mark.long
async def test_replicas_come_go_die_and_are_found_again(on_ray: RayHead, tmp_path: Path) -> None:
    """One story, since each replica takes a process of Ray's."""
    async with registry_of(Rig(tmp_path)) as rig:
        async with apart(rig):
            alice = rig.caller("alice")
            # A file that is none of XGBoost's is refused by the replica, in the words of the runtime.
            broken = await alice.version(b"no model", model="flight-delay")
            with pytest.raises(
                NotAllowed, match=rf"flight-delay {broken} cannot be loaded, so nothing was changed: .*XGBoost"
            ):
                await deploy(alice, broken, "broken")
            await deploy(alice)
            first = await answer(alice, ROWS, "first")
            await seen(alice, 1, 1)
            # Another version takes the traffic when a replica of its own is there.
            await split(alice, v1_1_0=100)
            second = await answer(alice, ROWS, "second")
            np.testing.assert_allclose(second, answers_of(model_file(1), ROWS), rtol=1e-6, atol=1e-6)
            # The one before stays, for a rollback.
            await seen(alice, 2, 2)
            scaling = pb.Scaling(min_replicas=2, max_replicas=2)
            await alice.deployments.SetScaling(pb.SetScalingRequest(name="flights", scaling=scaling))
            await seen(alice, 3, 3)
            await killed(alice, on_ray)
        before = {p.pid for p in on_ray.replicas()}
        async with apart(rig):
            alice = rig.caller("alice")
            await seen(alice, 3, 3)
            np.testing.assert_array_equal(await answer(alice, ROWS, "third"), second)
            np.testing.assert_array_equal(await answer(alice, ROWS, "first"), first)
            assert {p.pid for p in on_ray.replicas()} == before, "the replicas were found again"
            await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights"))
            await until(nothing(on_ray), "the replicas of a stopped deployment are gone", PATIENCE_S)


async def killed(alice: Caller, head: RayHead) -> None:
    """Every replica, under requests: each is answered, by a retry or not, or refused precisely; none twice."""
    resilience = pb.Resilience(retries=pb.Retries(attempts=3, budget=1.0, least=100))
    await alice.deployments.SetResilience(pb.SetResilienceRequest(name="flights", resilience=resilience))
    answered: dict[str, float] = {}
    refused: list[str] = []
    over = asyncio.Event()

    async def ask(caller: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                found = await answer(alice, ROWS[number % 500][None], f"k{caller}-{number}")
                answered[f"k{caller}-{number}"] = float(found[0])
            except ModelogError as error:
                refused.append(str(error))

    async with asyncio.TaskGroup() as group:
        for caller in range(4):
            group.create_task(ask(caller))
        await until(more_than(answered, 50), "requests are answered", PATIENCE_S)
        for process in head.replicas():
            process.kill()
        at = len(answered)
        await until(more_than(answered, at + 50), "requests are answered by new replicas", PATIENCE_S)
        over.set()
    expected = answers_of(model_file(1), ROWS)
    for number, found in answered.items():
        np.testing.assert_allclose(found, expected[int(number.split("-")[1]) % 500], rtol=1e-6, atol=1e-6)
    assert all("on Ray Serve died" in text or "try again later" in text for text in refused), refused
    replayed = await alice.deployments.ReplayPredictions(
        pb.ReplayPredictionsRequest(deployment="flights", limit=5000), timeout=PATIENCE_S
    )
    ids = [i for i in replayed.prediction_ids if i.startswith("k")]
    assert sorted(ids) == sorted(answered), "what was answered was logged once, and nothing else"
    await seen(alice, 3, 3)


def more_than(answered: dict[str, float], count: int) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return len(answered) > count

    return there


def nothing(head: RayHead) -> Callable[[], Awaitable[bool]]:
    async def gone() -> bool:
        return not head.replicas()

    return gone


async def seen(alice: Caller, wanted: int, ready: int) -> None:
    """So many replicas are told."""
    told = pb.Replicas()

    async def there() -> bool:
        nonlocal told
        told = (await alice.deployment()).replicas
        return (told.backend, told.wanted, told.ready) == ("ray", wanted, ready)

    try:
        await until(there, f"{wanted} replicas are wanted, {ready} ready", PATIENCE_S)
    except AssertionError as error:
        raise AssertionError(f"{error}; told is {told}") from None


async def split(alice: Caller, **percents: float) -> None:
    shares = [pb.TrafficShare(version=v[1:].replace("_", "."), percent=p) for v, p in percents.items()]
    await alice.deployments.SetTraffic(pb.SetTrafficRequest(name="flights", shares=shares), timeout=PATIENCE_S)


@pytest.mark.long
async def test_a_ray_that_goes_away_is_told_and_found_again_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("MODELOG_SERVING_REPLICAS", "ray")
    monkeypatch.setenv("MODELOG_SERVING_RAY_ADDRESS", f"127.0.0.1:{port}")
    async with registry_of(Rig(tmp_path)) as rig, apart(rig):
        alice = rig.caller("alice")
        away = f"Ray at 127.0.0.1:{port} does not answer"
        with pytest.raises(Unavailable, match=f"cannot be loaded, so nothing was changed: {away}"):
            await deploy(alice)
        with ray_head(port=port):
            await deploy(alice)
            first = await answer(alice, ROWS, "first")

        async def told() -> bool:
            return away in (await alice.deployment()).error

        await until(told, "that Ray is away is told of the deployment", PATIENCE_S)
        with pytest.raises(Unavailable, match=away):
            await answer(alice, ROWS, "second")
        with ray_head(port=port):
            await seen(alice, 1, 1)
            np.testing.assert_array_equal(await answer(alice, ROWS, "third"), first)
