"""Circuit breakers of worker processes: each has its own, and the process that decides shows all of them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import grpc
import numpy as np
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, Caller, until
from test_resilient_deployments import made_ill
from worker_rig import WORKERS, Many, started, workers_of

cloudpickle.register_pickle_by_value(sys.modules["test_resilient_deployments"])

# It stays open for longer than a test takes.
BREAKER = pb.Breaker(failure_share=0.5, window_s=3600, min_requests=4, open_s=3600, probes=1)
OPEN, CLOSED = pb.BREAKER_STATE_OPEN, pb.BREAKER_STATE_CLOSED


async def breakers(caller: Caller) -> dict[int, tuple[Any, bool]]:
    """By worker the state of the only version's breaker, and whether it is told when it is tried again."""
    found = await caller.deployment()
    assert {seen.version for seen in found.resilience.breakers} <= {found.variants[0].version}
    assert len({seen.worker for seen in found.resilience.breakers}) == len(found.resilience.breakers)
    return {seen.worker: (seen.state, 0 < seen.again_in_s <= 3600) for seen in found.resilience.breakers}


async def fails(many: Many, numbers: list[int]) -> None:
    """Ask on each of these connections, in vain."""
    values = np.ones((1, len(COLUMNS)))
    tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP64", shape=values.shape)
    asked = oip.ModelInferRequest(model_name="flights", inputs=[tensor], raw_input_contents=[values.tobytes()])
    answers = await asyncio.gather(*(many.ask(number, asked) for number in numbers), return_exceptions=True)
    assert all(isinstance(answer, grpc.RpcError) for answer in answers)


async def test_the_states_of_all_workers_are_shown_and_go_with_their_worker(tmp_path: Path) -> None:
    async with started(tmp_path) as process:
        alice = process.rig.caller("alice", attempts=5)
        ill = await made_ill(process.rig, tmp_path)
        many = Many(process.rig, alice)
        try:
            request = pb.SetResilienceRequest(name="flights", resilience=pb.Resilience(breaker=BREAKER), reason="test")
            await alice.deployments.SetResilience(request)

            async def closed() -> bool:
                return await breakers(alice) == dict.fromkeys(range(1, WORKERS + 1), (CLOSED, False))

            await until(closed, "each worker tells of its closed breaker")
            (ill.folder / "raises").touch()
            # One connection is of one worker: there it opens, and the other's stays as it was.
            for _ in range(2):
                await fails(many, [0] * 3)

            async def one_open() -> bool:
                return sorted((await breakers(alice)).values()) == sorted([(OPEN, True), (CLOSED, False)])

            await until(one_open, "the breaker of the worker that was asked is told to be open")
            for _ in range(4):
                await fails(many, list(range(24)))

            async def all_open() -> bool:
                return await breakers(alice) == dict.fromkeys(range(1, WORKERS + 1), (OPEN, True))

            await until(all_open, "the breakers of both workers are told to be open")
            os.kill(workers_of(process)[0], signal.SIGKILL)

            async def begun_anew() -> bool:
                return sorted((await breakers(alice)).values()) == sorted([(OPEN, True), (CLOSED, False)])

            await until(begun_anew, "the worker that took the place has a closed breaker")
        finally:
            await many.close()
