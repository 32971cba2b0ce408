"""kill -9 in the middle of a storm of commands: everything that was acknowledged is there, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2, model_pb2
from storm import Storm, until_answered

WRITERS = 8
KILLS = 2
BETWEEN_KILLS = 60


async def write(person: Any, run_id: str, number: int, storm: Storm, version: Any) -> None:
    """Log a point and register a version, in turn, each under a request id of its own."""
    step = 0
    while not storm.over:
        point = experiment_pb2.MetricPoint(name=f"w{number}", value=step, step=step)
        log = experiment_pb2.LogRunRequest(run_id=run_id, metrics=[point], request_id=f"log-{number}-{step}")
        await until_answered(person.experiments.LogRun, log)
        await storm.note(f"point {number} {step}")
        request = version(tags={"id": f"{number}-{step}"}, request_id=f"version-{number}-{step}")
        made = await until_answered(person.models.RegisterVersion, request)
        assert made.tags["id"] == f"{number}-{step}"
        await storm.note(f"version {number}-{step} is {made.version}")
        step += 1


async def test_what_was_acknowledged_is_there_once(process: Any, version_of: Any) -> None:
    alice = process.person("alice", "developer")
    await alice.upload()
    await alice.model()
    await alice.experiment()
    run = await alice.run()
    storm = Storm()
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(write(alice, run.id, number, storm, version_of))
        for _ in range(KILLS):
            await storm.more(BETWEEN_KILLS)
            process.kill()
            process.start()
            await process.ready()
        await storm.more(BETWEEN_KILLS)
        storm.over = True
    await process.close()
    await check(process.person("alice", "developer"), run.id, storm)

    status = await asyncio.to_thread(process.stop)
    assert status == 0, process.log()[-2000:]
    process.start()
    await process.ready()
    await check(process.person("alice", "developer"), run.id, storm)


async def check(person: Any, run_id: str, storm: Storm) -> None:
    whole = await person.experiments.GetRun(experiment_pb2.GetRunRequest(run_id=run_id))
    points = Counter(f"point {p.name[1:]} {p.step}" for p in whole.points)
    model = await person.models.GetModel(model_pb2.GetModelRequest(name="flight-delay"))
    versions = Counter(f"version {v.tags['id']} is {v.version}" for v in model.versions)
    there = points + versions
    assert there == storm.acknowledged, f"{there - storm.acknowledged} / {storm.acknowledged - there}"
    assert set(there.values()) == {1}
    status = await person.admin.GetStatus(common.GetStatusRequest())
    assert {p.error for p in status.projections} == {""}


@pytest.fixture
def version_of() -> Any:
    """Makes requests to register a version."""
    import hashlib

    content = b"a model"
    artifact = model_pb2.Artifact(path="m", digest=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    tensor = model_pb2.TensorSpec(name="x", datatype="FP32", shape=[-1])
    signature = model_pb2.Signature(inputs=[tensor], outputs=[tensor])

    def make(**fields: Any) -> Any:
        return model_pb2.RegisterVersionRequest(
            model="flight-delay", flavor="xgboost", artifact=artifact, signature=signature, **fields
        )

    return make
