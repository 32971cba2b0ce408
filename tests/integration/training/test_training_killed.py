"""kill -9 of the training service in the middle of a job: nothing is lost, nothing happens twice, nothing is left."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest
from modelog_common.domain.errors import Unavailable
from modelog_proto.registry.v1 import experiment_pb2
from modelog_proto.training.v1 import training_pb2 as pb
from training_world import PATIENCE_S, SAVES, WAITS, World

pytestmark = pytest.mark.slow
# By itself Ray waits for its raylet so long.
RAYS_OWN_PATIENCE_S = 30


async def test_a_killed_service_runs_the_job_again_and_goes_on_with_the_queue(world: World, tmp_path: Path) -> None:
    await world.come_up()
    alice = world.user()
    gate = tmp_path / "gate"
    code = (
        f"{SAVES}{WAITS}\ndef main(context):\n    context.log_metric('auc', 0.5)\n    wait(context)\n    save(context)"
    )
    both = {"cpus": 2.0}
    running = await alice.submit(
        code, parameters={"gate": str(gate)}, resources=both, register=pb.RegisterOnSuccess(model="survivor")
    )
    waiting = await alice.submit("def main(context): print('my turn')", resources=both)
    stopped = await alice.submit("def main(context): ...", resources=both)
    first = await alice.running(running)
    processes = psutil.Process(world.pid("training")).children(recursive=True)
    assert any("ray" in process.name() for process in processes)

    world.kill("training")
    world.start("training")
    # Ray's head and the worker die with the service; its agents would look for them for a minute.
    await all_gone(processes)
    gate.touch()
    await world.answers("training")
    await alice.jobs.CancelJob(pb.CancelJobRequest(job_id=stopped.id), wait_for_ready=True)

    job = await alice.ended(running)
    assert (job.status, job.attempt, job.error) == (pb.JOB_STATUS_SUCCEEDED, 2, "")
    assert [v.version for v in await alice.versions("survivor")] == ["1.0.0"]
    lost = await alice.run(first.run_id)
    assert lost.status == experiment_pb2.RUN_STATUS_FAILED
    assert "attempt 1 was lost: the training service was stopped or killed while it ran" in lost.error
    assert (await alice.run(job.run_id)).status == experiment_pb2.RUN_STATUS_COMPLETED
    log = await alice.log(running)
    assert log.count("working\n") == 2
    after = await alice.ended(waiting)
    assert (after.status, after.attempt) == (pb.JOB_STATUS_SUCCEEDED, 1)
    assert (await alice.ended(stopped)).status == pb.JOB_STATUS_CANCELLED

    processes = psutil.Process(world.pid("training")).children(recursive=True)
    await world.close()
    assert world.stop("training") == 0
    await all_gone(processes)
    assert not (tmp_path / "training" / "ray").exists()


async def all_gone(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while alive := [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
        if time.monotonic() > deadline:
            raise AssertionError(f"these processes should be gone: {alive}")
        await asyncio.sleep(0.05)


async def test_a_service_whose_ray_is_killed_ends_and_runs_the_job_again(world: World, tmp_path: Path) -> None:
    await world.come_up()
    alice = world.user()
    gate = tmp_path / "gate"
    job = await alice.submit(f"{WAITS}\ndef main(context): wait(context)", parameters={"gate": str(gate)})
    await alice.running(job)
    processes = psutil.Process(world.pid("training")).children(recursive=True)
    next(process for process in processes if process.name() == "raylet").kill()
    assert await asyncio.to_thread(world.wait, "training") == 1
    assert "Ray's raylet ended; the service has to be started again" in world.log("training")
    await all_gone(processes)
    gate.touch()
    world.start("training")
    await world.answers("training")
    job = await alice.ended(job)
    assert (job.status, job.attempt) == (pb.JOB_STATUS_SUCCEEDED, 2)
    await world.close()


async def test_a_raylet_that_dies_while_it_starts_is_started_again(world: World) -> None:
    world.start("registry")
    world.start("training")
    (await first_raylet(world)).kill()
    await world.answers("registry")
    await world.answers("training")
    alice = world.user()
    job = await alice.ended(await alice.submit("def main(context): ..."))
    assert (job.status, job.attempt) == (pb.JOB_STATUS_SUCCEEDED, 1)
    assert '"event":"Ray did not start"' in world.log("training")
    assert "Ray's raylet ended while it started" in world.log("training")
    assert "workers are ready" in world.log("training")
    await world.close()


@pytest.mark.long
async def test_a_raylet_that_is_late_is_waited_for(world: World) -> None:
    world.start("registry")
    world.start("training")
    raylet = await first_raylet(world)
    raylet.suspend()
    over = time.monotonic() + RAYS_OWN_PATIENCE_S + 5
    while time.monotonic() < over:
        await asyncio.sleep(0.1)
    raylet.resume()
    await world.answers("registry")
    await world.answers("training")
    alice = world.user()
    job = await alice.ended(await alice.submit("def main(context): ..."))
    assert (job.status, job.attempt) == (pb.JOB_STATUS_SUCCEEDED, 1)
    assert "Ray did not start" not in world.log("training")
    await world.close()


async def first_raylet(world: World) -> psutil.Process:
    service = psutil.Process(world.pid("training"))
    deadline = time.monotonic() + PATIENCE_S
    while True:
        for process in service.children(recursive=True):
            if process.name() == "raylet":
                return process
        assert time.monotonic() < deadline, f"no raylet was started within {PATIENCE_S:g} s"
        await asyncio.sleep(0.01)


async def test_a_registry_that_is_killed_meanwhile_is_waited_for(world: World, tmp_path: Path) -> None:
    await world.come_up()
    alice = world.user()
    gate = tmp_path / "gate"
    code = (
        f"{SAVES}{WAITS}\ndef main(context):\n    wait(context)\n    context.log_metric('auc', 0.5)\n    save(context)"
    )
    job = await alice.submit(code, parameters={"gate": str(gate)}, register=pb.RegisterOnSuccess(model="patient"))
    await alice.running(job)
    world.kill("registry")
    gate.touch()
    with pytest.raises(Unavailable):
        await alice.submit("def main(context): ...")
    world.start("registry")
    job = await alice.ended(job)
    assert (job.status, job.attempt, job.registered_version) == (pb.JOB_STATUS_SUCCEEDED, 1, "1.0.0")
    run = await alice.run(job.run_id)
    assert (run.status, dict(run.metrics)) == (experiment_pb2.RUN_STATUS_COMPLETED, {"auc": 0.5})
    await world.close()
