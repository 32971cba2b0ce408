"""kill -9 of serving in the middle of a release: the release goes on and ends, and the traffic is split as it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from modelog_common.adapters import open_event_store
from modelog_common.domain.errors import ModelogError
from modelog_common.events.store import StoredEvent
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import release_pb2 as pb
from modelog_serving.deployment.decide import DEPLOYMENTS
from modelog_serving.deployment.events import TrafficSet
from modelog_serving.events import EVENTS
from modelog_serving.release.decide import RELEASES
from modelog_serving.release.events import ReleaseAdvanced, ReleasePromoted, ReleaseStarted
from serving_rig import START_S, Caller, Process, Rig, answers_of, model_file, registry_of, until

CLIENTS = 4
STEPS = (10.0, 30.0, 60.0, 100.0)
SEED = 20261126
ROW = np.full((1, 4), 0.5, np.float32)


class Traffic:
    """Requests of several clients until the process does not answer; each answer is that of its version."""

    def __init__(self) -> None:
        self.answered = self._sent = 0
        self._expected = {f"1.{n}.0": answers_of(model_file(n), ROW)[0] for n in (0, 1)}

    async def until_killed(self, caller: Caller) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._client(caller))

    async def _client(self, caller: Caller) -> None:
        tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=[1, 4])
        while True:
            self._sent += 1
            request = oip.ModelInferRequest(
                model_name="flights", id=f"r{self._sent}", inputs=[tensor], raw_input_contents=[ROW.tobytes()]
            )
            try:
                answer = await caller.inference.ModelInfer(request, timeout=150)
            except (ModelogError, grpc.RpcError):
                return
            self.answered += 1
            got = np.frombuffer(answer.raw_output_contents[0], np.float32)[0]
            assert got == self._expected[answer.parameters["version"].string_param]


async def written(rig: Rig) -> Sequence[StoredEvent]:
    """The events of the deployment and its release."""
    store = await open_event_store(rig.settings(), rig.clock)
    try:
        categories = [DEPLOYMENTS.category, RELEASES.category]
        return [e async for e in store.read_all(categories=categories, until=await store.head())]
    finally:
        await store.close()


def decoded(stored: StoredEvent) -> Any:
    return EVENTS.decode(stored.type, stored.schema, stored.payload)


async def release(caller: Caller) -> pb.Release:
    found: pb.Release = await caller.releases.GetRelease(pb.GetReleaseRequest(deployment="flights"))
    return found


def check(events: Sequence[StoredEvent]) -> list[Any]:
    """Each split of the traffic is the one that the release wanted when it was set, and is set once."""
    state, told = RELEASES.initial(), [decoded(stored) for stored in events]
    splits: list[dict[str, float]] = []
    for event in told:
        if isinstance(event, TrafficSet):
            splits.append({s.version: s.percent for s in event.shares if s.percent})
            assert splits[-1] == state.split(), f"the traffic was set to {splits[-1]} where {state.split()} is wanted"
        elif type(event).__name__.startswith("Release"):
            state = RELEASES.evolve(state, event)
    assert all(splits.count(split) == 1 for split in splits), f"a split was set twice: {splits}"
    return told


@pytest.mark.parametrize(
    "seed", [SEED, *(pytest.param(SEED + n, marks=pytest.mark.long) for n in range(1, 20))], ids=lambda n: f"seed_{n}"
)
async def test_a_release_ends_however_often_the_process_is_killed(tmp_path: Path, seed: int) -> None:
    """Now right after a step was written down, now after a random number of answers."""
    dice, traffic, kills = random.Random(seed), Traffic(), 0
    async with registry_of(Rig(tmp_path)) as rig:
        process = Process(rig)
        await process.start()
        await rig.caller().deploy()
        plan = pb.ReleasePlan(pattern=pb.RELEASE_PATTERN_CANARY, steps=STEPS, error_margin=0.2, step_requests=30)
        asked = pb.StartReleaseRequest(deployment="flights", version="1.1.0", plan=plan, reason="newer")
        await rig.caller().releases.StartRelease(asked)
        while kills < 4 and not is_promoted(await advances(rig)):
            asking = asyncio.create_task(traffic.until_killed(rig.caller()))
            before, wanted = len(await advances(rig)), traffic.answered + dice.randint(50, 250)

            async def is_time(before: int = before, wanted: int = wanted, by_step: bool = kills % 2 == 0) -> bool:
                return len(await advances(rig)) > before if by_step else traffic.answered >= wanted

            await until(is_time, "a step was taken, or requests were answered")
            process.kill()
            kills += 1
            await asking
            check(await written(rig))
            await rig.close()
            await process.start()
            await asyncio.wait_for(rig.caller().oip.channel_ready(), START_S)
        asking = asyncio.create_task(traffic.until_killed(rig.caller()))

        async def is_whole() -> bool:
            found = await rig.caller().deployment()
            return {v.version: v.percent for v in found.variants} == {"1.1.0": 100}

        await until(is_whole, "all of the traffic is the candidate's")
        await until(lambda: has_ended(rig), "the release has ended")
        found = await release(rig.caller())
        assert process.terminate() == 0
        await asking
    assert found.state == pb.RELEASE_STATE_PROMOTED, found.reason
    told = check(await written(rig))
    kinds = [type(e) for e in told if isinstance(e, ReleaseStarted | ReleaseAdvanced | ReleasePromoted)]
    assert kinds == [ReleaseStarted, *[ReleaseAdvanced] * (len(kinds) - 2), ReleasePromoted]
    assert kills >= 3


def is_promoted(steps: Sequence[Any]) -> bool:
    return bool(steps) and isinstance(steps[-1], ReleasePromoted)


async def has_ended(rig: Rig) -> bool:
    return (await release(rig.caller())).state != pb.RELEASE_STATE_RUNNING


async def advances(rig: Rig) -> list[Any]:
    """The steps that were taken, and the end."""
    return [e for e in map(decoded, await written(rig)) if isinstance(e, ReleaseAdvanced | ReleasePromoted)]
