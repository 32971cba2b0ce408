"""Workers come and go with the load, and models of deployments that nobody asks are let go of until somebody does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import Caller, until
from worker_rig import WORKERS, Many, Storm, all_logged, measured, output_of, request, started, workers_of

# Processes start and end in this: on a busy machine each takes its time.
LONG_S = 300.0


async def scaled(caller: Caller, name: str, scaling: pb.Scaling) -> None:
    await caller.deployments.SetScaling(pb.SetScalingRequest(name=name, scaling=scaling, reason="test"))


async def test_workers_follow_a_load_that_rises_and_falls(tmp_path: Path) -> None:
    async with started(tmp_path) as process:
        alice = process.rig.caller()
        await alice.deploy()
        many = Many(process.rig, alice)

        async def have(workers: int) -> None:
            async def so() -> bool:
                seen = (await alice.deployment()).replicas
                return (seen.wanted, seen.ready, len(workers_of(process))) == (workers,) * 3

            await until(so, f"there are {workers} workers", LONG_S)

        await have(WORKERS)
        assert (await alice.deployment()).replicas.backend == "local"
        # A storm of 24 clients wants all there may be.
        rising = pb.Scaling(min_replicas=1, max_replicas=9, target_concurrency=1, down_cooldown_s=2)
        await scaled(alice, "flights", rising)
        await have(1)
        problems = list((await alice.deployment()).replicas.problems)
        assert problems == [f"at most {WORKERS} worker processes are allowed here (MODELOG_SERVING_WORKERS)"]
        storm = Storm(many, "flights")
        await storm.had(100)
        await have(WORKERS)
        await storm.end()
        assert storm.failed == 0
        await have(1)
        answer = await many.ask(0, request(1))
        assert answer.model_version == "1.0.0"
        last = answer.parameters["prediction_id"].string_param
        found = await all_logged(tmp_path, "flights", [*storm.acknowledged, last])
        ids = [i for of in found.values() for i in of]
        assert len(ids) == len(set(ids)) == len(storm.acknowledged) + 1

        async def counted() -> bool:
            return measured(tmp_path) == len(ids)

        await until(counted, "windows of traffic have what the worker that left had answered")
        await rests_and_wakes(alice, many, process.rig.folder)
        await many.close()
        assert process.terminate() == 0


async def rests_and_wakes(alice: Caller, many: Many, folder: Path) -> None:
    name = "rare"
    await alice.deploy(name=name)
    first = output_of(await many.ask(0, request(0, name=name)))
    await scaled(alice, name, pb.Scaling(min_replicas=1, max_replicas=1, scale_to_zero=True, idle_s=1))
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights", reason="only one needs the model"))

    async def rests() -> bool:
        return any("it rests" in problem for problem in (await alice.deployment(name)).replicas.problems)

    await until(rests, "nobody asked for a second, and it rests")
    assert (await alice.deployment(name)).status == pb.DEPLOYMENT_STATUS_RUNNING
    answers = await asyncio.gather(*(many.ask(n, request(0, name=name)) for n in range(24)))
    assert {output_of(answer) for answer in answers} == {first}
    ids = [answer.parameters["prediction_id"].string_param for answer in answers]
    assert sum(len(of) for of in (await all_logged(folder, name, ids)).values()) == 25
