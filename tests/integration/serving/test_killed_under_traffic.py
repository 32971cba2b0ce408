"""kill -9 of the serving process under traffic, again and again: what was acknowledged is in the log, once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import grpc
import numpy as np
import pytest
from modelog_common.domain.errors import ModelogError
from serving_rig import START_S, Caller, Process, Rig, registry_of, until
from test_serving_process import logged, request

CLIENTS = 8
MOST_ANSWERS = 120
SEED = 20261126


class Traffic:
    """Requests with ids of their own, from many clients at once; what failed is asked again after the next start."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, float] = {}
        self.failed: list[int] = []
        self._next = 0

    async def until_killed(self, caller: Caller) -> None:
        """Ask until the process does not answer any more."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._client(caller))

    async def _client(self, caller: Caller) -> None:
        while True:
            row = self.failed.pop() if self.failed else self._next
            self._next = max(self._next, row + 1)
            try:
                answer = await caller.inference.ModelInfer(request(row), timeout=150)
            except (ModelogError, grpc.RpcError):
                self.failed.append(row)
                return
            prediction_id = answer.parameters["prediction_id"].string_param
            (output,) = np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()
            # An answer that was lost on its way is given again, and is the same.
            assert self.acknowledged.setdefault(prediction_id, output) == output


@pytest.mark.parametrize(
    "kills", [4, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(3600)])], ids=["four", "five_hundred"]
)
async def test_what_was_acknowledged_is_logged_once_however_often_it_is_killed(tmp_path: Path, kills: int) -> None:
    """Each kill comes after a random number of answers, in the middle of what is under way."""
    dice, traffic = random.Random(SEED), Traffic()
    async with registry_of(Rig(tmp_path)) as rig:
        process = Process(rig)
        await process.start()
        await rig.caller().deploy()
        for _ in range(kills):
            wanted = len(traffic.acknowledged) + dice.randint(1, MOST_ANSWERS)
            asking = asyncio.create_task(traffic.until_killed(rig.caller()))

            async def enough(wanted: int = wanted) -> bool:
                return len(traffic.acknowledged) >= wanted

            await until(enough, f"{wanted} requests were answered")
            process.kill()
            await asking
            await rig.close()
            await process.start()
            await asyncio.wait_for(rig.caller().oip.channel_ready(), START_S)
        assert process.terminate() == 0
    batches = logged(tmp_path)
    times = Counter(i for batch in batches for i in batch.prediction_ids)
    assert set(times.values()) == {1}
    assert set(traffic.acknowledged) <= set(times)
    outputs = {
        prediction_id: output
        for batch in batches
        for prediction_id, output in zip(
            batch.prediction_ids, np.frombuffer(batch.outputs, "<f4").tolist(), strict=True
        )
    }
    assert traffic.acknowledged.items() <= outputs.items()
    assert [batch.sequence for batch in batches] == list(range(1, len(batches) + 1))
    assert len(times) - len(traffic.acknowledged) <= len(traffic.failed), "only what was under way may be more"
