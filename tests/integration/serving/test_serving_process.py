"""Serving as a process: killed in a storm of requests, started where it cannot run, drained."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from modelog_common.domain.errors import ModelogError, Unavailable
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from modelog_serving.predlog import seal
from serving_rig import START_S, Caller, Process, Rig, registry_of, serving_of, until

ROWS = np.random.default_rng(5).normal(size=(100_000, 4)).astype(np.float32)


def request(row: int) -> Any:
    made = oip.ModelInferRequest(
        model_name="flights",
        inputs=[{"name": "features", "datatype": "FP32", "shape": [1, 4]}],
        raw_input_contents=[ROWS[row].tobytes()],
    )
    made.parameters["prediction_id"].string_param = f"p{row}"
    return made


def logged(folder: Path) -> list[PredictionBatch]:
    with sqlite3.connect(folder / "serving" / "predictions.db") as db:
        bodies = db.execute("SELECT body FROM batch ORDER BY sequence").fetchall()
    db.close()
    return [PredictionBatch.FromString(body) for (body,) in bodies]


class Storm:
    """Many clients at once, each with ids of its own; remembers what was acknowledged."""

    def __init__(self, caller: Caller, clients: int = 16) -> None:
        self._caller = caller
        self.acknowledged: dict[str, float] = {}
        self.failed: list[int] = []
        self._next = 0
        self._tasks = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def _client(self) -> None:
        while True:
            row = self._next
            self._next += 1
            try:
                await self.ask(row)
            except (ModelogError, grpc.RpcError):
                self.failed.append(row)
                return

    async def ask(self, row: int) -> None:
        answer = await self._caller.inference.ModelInfer(request(row), timeout=150)
        prediction_id = answer.parameters["prediction_id"].string_param
        (output,) = np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()
        self.acknowledged[prediction_id] = output

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)


async def test_kill_9_in_a_storm_of_requests(tmp_path: Path) -> None:
    """What was acknowledged is in the log, once; what was not may be asked again and is there once then."""
    async with registry_of(Rig(tmp_path)) as rig:
        process = Process(rig)
        await process.start()
        alice = rig.caller()
        await alice.deploy()
        storm = Storm(alice)

        async def under_way() -> bool:
            return len(storm.acknowledged) > 500

        await until(under_way, "500 requests were answered")
        process.kill()
        await storm.end()
        before = {i for batch in logged(tmp_path) for i in batch.prediction_ids}
        assert set(storm.acknowledged) <= before
        await process.start()
        alice = rig.caller()
        # gRPC shares what it knows of an address: for a while it refuses what it could not reach a moment ago.
        await asyncio.wait_for(alice.oip.channel_ready(), START_S)
        storm._caller = alice
        for row in storm.failed:
            await storm.ask(row)
        batches = logged(tmp_path)
        times = Counter(i for batch in batches for i in batch.prediction_ids)
        assert set(times.values()) == {1}
        assert set(storm.acknowledged) == set(times)
        outputs = {
            prediction_id: output
            for batch in batches
            for prediction_id, output in zip(
                batch.prediction_ids, np.frombuffer(batch.outputs, "<f4").tolist(), strict=True
            )
        }
        assert outputs == storm.acknowledged
        assert [batch.sequence for batch in batches] == list(range(1, len(batches) + 1))
        found = await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="flights", prediction_id="p7"))
        assert list(found.outputs) == [storm.acknowledged["p7"]]
        assert process.terminate() == 0


async def complaint(process: Process) -> tuple[int, str]:
    """How a process ends that cannot start: its status, and what it says to the person who started it."""
    import sys

    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modelog_serving", env=process.environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(started.communicate(), 150)
    return started.returncode or 0, said.decode()


@pytest.mark.parametrize(("name", "variable"), [("http", "HTTP"), ("oip", "OIP_GRPC"), ("control", "GRPC")])
async def test_a_port_in_use_is_told(tmp_path: Path, name: str, variable: str) -> None:
    rig = Rig(tmp_path)
    rig.registry = "127.0.0.1:1"
    process = Process(rig)
    host, port = getattr(rig, name).removeprefix("http://").split(":")
    with socket.socket() as taken:
        taken.bind((host, int(port)))
        taken.listen()
        status, said = await complaint(process)
    assert status == 1
    assert f"cannot listen on {host}:{port}" in said
    assert f"MODELOG_{variable}_PORT" in said
    assert "Traceback" not in said


async def test_data_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.registry = "127.0.0.1:1"
    async with serving_of(rig):
        pass
    with sqlite3.connect(tmp_path / "serving" / "predictions.db") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    db.close()
    status, said = await complaint(Process(rig))
    assert status == 1
    assert "has format 99, written by a newer release" in said


async def test_a_wrong_setting_is_told(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.registry = "127.0.0.1:1"
    rig.environment["MODELOG_SERVING_MODELS"] = "many"
    status, said = await complaint(Process(rig))
    assert status != 0
    assert 'MODELOG_SERVING_MODELS is "many": it must be a whole number' in said


async def test_a_full_log_refuses_requests_and_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_SERVING_LOG_MAX_BYTES", "150000")
    # What is sealed and published may be dropped, and then there is room again: nothing is sealed here.
    monkeypatch.setattr(seal, "LOOK_S", 3600)
    async with registry_of(Rig(tmp_path)) as rig, serving_of(rig):
        alice = rig.caller()
        await alice.deploy()
        acknowledged = []
        refused = ""
        for row in range(2000):
            try:
                await alice.inference.ModelInfer(request(row))
            except Unavailable as error:
                refused = str(error)
                break
            acknowledged.append(f"p{row}")
        assert "database or disk is full; nothing was stored" in refused
        # Who reads sees to it that everything is in the file.
        asked = pb.GetPredictionRequest(deployment="flights", prediction_id=acknowledged[-1])
        assert (await alice.deployments.GetPrediction(asked)).prediction_id == acknowledged[-1]
        assert [i for batch in logged(tmp_path) for i in batch.prediction_ids] == acknowledged
        assert (await alice.deployment()).variants[0].answered == len(acknowledged)
