"""Jobs on real Ray and a real registry: what is asked, what comes of it, and what is said when nothing does."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.domain.ids import derived_id
from modelog_proto.common.v1 import common_pb2 as common
from modelog_proto.registry.v1 import experiment_pb2, model_pb2
from modelog_proto.training.v1 import training_pb2 as pb
from training_world import PATIENCE_S, SAVES, WAITS, User, World, expect

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
FLIGHTS = pl.DataFrame({"hour": [1, 2, 3], "wind": [0.1, 0.2, None]})


async def test_a_job_trains_and_registers_a_version_of_its_author(alice: User) -> None:
    refs = [
        await alice.dataset(FLIGHTS, expect("not_null", "hour"), expect("between", "hour", minimum=0, maximum=23)),
        await alice.dataset(FLIGHTS.head(2), expect("row_count", minimum=1)),
    ]
    code = f"""{SAVES}
import polars
def main(context):
    rows = polars.read_parquet(context.dataset_paths)
    print("rows", rows.height, "threads", __import__("os").environ["OMP_NUM_THREADS"])
    for step in range(1500):
        context.log_metric("loss", 1 / (1 + step), step)
    context.log_metric("odd", float("nan"))
    context.log_params({{"rows": rows.height}})
    pathlib.Path("gains.json").write_text("{{}}")
    context.log_artifact("gains.json")
    save(context)
"""
    job = await alice.submit(
        code,
        datasets=refs,
        parameters={"depth": 6},
        register=pb.RegisterOnSuccess(model="flight-delay", description="the first"),
        tags={"team": "air"},
        git_commit="c0ffee",
        git_dirty=True,
    )
    assert (job.author, job.status, job.spec.resources.cpus) == ("alice", pb.JOB_STATUS_QUEUED, 1.0)
    job = await alice.ended(job)
    assert (job.status, job.error, job.attempt) == (pb.JOB_STATUS_SUCCEEDED, "", 1)
    assert job.model_digest == hashlib.sha256(b"a model").hexdigest()
    assert job.metrics["loss"] == pytest.approx(1 / 1500)
    assert [check.passed for check in job.checks] == [True, True, True]
    assert "rows 5 threads 1\n" in await alice.log(job)
    await check_run(alice, job)
    (version,) = await alice.versions("flight-delay")
    assert (version.version, version.author, version.run_id) == ("1.0.0", "alice", job.run_id)
    assert job.registered_version == "1.0.0"
    assert list(version.datasets) == refs
    assert dict(version.metrics) == {"loss": pytest.approx(1 / 1500)}
    assert version.tags["team"] == "air"
    with pytest.raises(NotAllowed, match="alice registered flight-delay"):
        await alice.models.ReviewVersion(
            model_pb2.ReviewVersionRequest(model="flight-delay", version="1.0.0", decision=1, comment="mine")  # type: ignore[arg-type]
        )


async def check_run(alice: User, job: pb.Job) -> None:
    run = await alice.run(job.run_id)
    assert run.status == experiment_pb2.RUN_STATUS_COMPLETED
    assert dict(run.parameters) == {"depth": 6.0, "rows": 5.0}
    assert sum(point.name == "loss" for point in run.points) == 1500
    assert sorted(artifact.path for artifact in run.artifacts) == ["gains.json", "model.ubj"]
    assert [(d.dataset, d.version) for d in run.datasets] == [("flights", 1), ("flights", 2)]
    assert (run.environment.git_commit, run.environment.git_dirty) == ("c0ffee", True)
    assert run.environment.entry_point == "job:main"
    assert run.environment.source_digest == job.spec.source_digest
    assert run.environment.packages["polars"] == pl.__version__
    assert run.tags["author"] == "alice"
    assert run.tags["job_id"] == job.id


async def test_data_that_is_not_as_expected_fails_the_job_before_its_code_runs(alice: User) -> None:
    ref = await alice.dataset(FLIGHTS, expect("not_null", "wind"), expect("row_count", minimum=1), name="bad-flights")
    job = await alice.ended(await alice.submit("def main(context): print('ran')", datasets=[ref]))
    assert job.status == pb.JOB_STATUS_FAILED
    assert job.error == (
        "the data is not as expected, so no code was run: "
        "bad-flights 1 column 'wind' breaks not_null: 1 of 3 values are missing; expected none"
    )
    assert [(check.kind, check.passed) for check in job.checks] == [("not_null", False), ("row_count", True)]
    assert job.run_id == ""
    assert "ran\n" not in await alice.log(job)


async def test_an_exception_of_the_code_is_the_jobs_error(alice: User) -> None:
    code = """
        def main(context):
            context.log_metric("auc", 0.5)
            raise RuntimeError("no convergence")
    """
    job = await alice.ended(await alice.submit(code))
    assert (job.status, job.attempt) == (pb.JOB_STATUS_FAILED, 1)
    assert job.error == "RuntimeError: no convergence (job.py:4 in main)"
    assert "Traceback (most recent call last):" in await alice.log(job)
    run = await alice.run(job.run_id)
    assert (run.status, run.error, dict(run.metrics)) == (
        experiment_pb2.RUN_STATUS_FAILED,
        job.error,
        {"auc": 0.5},
    )


async def test_a_job_that_saves_no_model_cannot_register_one(alice: User) -> None:
    spec = {"register": pb.RegisterOnSuccess(model="nothing")}
    job = await alice.ended(await alice.submit("def main(context): ...", **spec))
    assert job.error == (
        "the job was to register a version of nothing, but its code saved no model; call context.save_model"
    )


async def test_a_version_that_is_taken_fails_the_job(alice: User) -> None:
    for content in ("b'one'", "b'two'"):
        code = f"{SAVES}\ndef main(context): save(context, {content})"
        job = await alice.ended(await alice.submit(code, register=pb.RegisterOnSuccess(model="taken", version="2.0.0")))
    assert job.status == pb.JOB_STATUS_FAILED
    assert "the model could not be registered as a version of taken: taken 2.0.0 exists already" in job.error
    assert (await alice.run(job.run_id)).status == experiment_pb2.RUN_STATUS_FAILED


async def test_what_the_registry_refuses_to_log_fails_the_job(alice: User) -> None:
    job = await alice.submit("def main(context):\n    while True: context.log_params({'x' * 250: 'y' * 2**21})")
    job = await alice.ended(job)
    assert job.status == pb.JOB_STATUS_FAILED
    assert "parameters" in job.error


async def test_a_running_job_is_cancelled_within_two_seconds(alice: User, tmp_path: Path) -> None:
    code = f"{WAITS}\ndef main(context):\n    print('pid', __import__('os').getpid())\n    wait(context)"
    job = await alice.submit(code, parameters={"gate": str(tmp_path / "never")})
    log = await alice.prints(job, "working")
    pid = int(log.partition("pid ")[2].split()[0])
    asked = time.monotonic()
    await alice.jobs.CancelJob(pb.CancelJobRequest(job_id=job.id, reason="changed my mind"))
    while _runs(pid):
        assert time.monotonic() - asked < PATIENCE_S, "the worker process should be gone"
        await asyncio.sleep(0.02)
    print(f"the worker was gone after {time.monotonic() - asked:.2f} s")
    job = await alice.ended(job)
    assert job.status == pb.JOB_STATUS_CANCELLED
    assert (await alice.run(job.run_id)).status == experiment_pb2.RUN_STATUS_CANCELLED
    assert (await alice.jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))).position == job.position


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_job_that_takes_too_long_is_stopped(alice: User, tmp_path: Path) -> None:
    code = f"{WAITS}\ndef main(context): wait(context)"
    job = await alice.ended(await alice.submit(code, parameters={"gate": str(tmp_path / "never")}, timeout_s=1.5))
    assert (job.status, job.attempt) == (pb.JOB_STATUS_FAILED, 1)
    assert job.error == "it ran longer than its timeout_s of 1.5 s and was stopped"


async def test_a_job_whose_worker_is_killed_runs_again(alice: User, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"""{SAVES}{WAITS}
def main(context):
    print("pid", __import__("os").getpid())
    wait(context)
    save(context)
"""
    job = await alice.submit(code, parameters={"gate": str(gate)}, register=pb.RegisterOnSuccess(model="survivor"))
    log = await alice.prints(job, "working")
    lost_run = (await alice.job(job.id)).run_id
    # Stopped first, so that it does not see the gate before it dies.
    pid = int(log.partition("pid ")[2].split()[0])
    os.kill(pid, signal.SIGSTOP)
    gate.touch()
    os.kill(pid, signal.SIGKILL)
    job = await alice.ended(job)
    assert (job.status, job.attempt) == (pb.JOB_STATUS_SUCCEEDED, 2)
    assert (await alice.run(lost_run)).status == experiment_pb2.RUN_STATUS_FAILED
    assert f"attempt 1 was lost: the worker process {pid} is gone" in await alice.log(job)
    assert len(await alice.versions("survivor")) == 1


async def test_a_job_whose_worker_dies_every_time_fails(alice: User) -> None:
    code = "import os, signal\ndef main(context): os.kill(os.getpid(), signal.SIGKILL)"
    job = await alice.ended(await alice.submit(code, max_attempts=2))
    assert (job.status, job.attempt) == (pb.JOB_STATUS_FAILED, 2)
    assert job.error.startswith("the job was started 2 times and lost each time, most recently because the worker")


async def test_a_version_that_an_earlier_attempt_registered_is_the_jobs(
    alice: User, shared: World, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    code = f"{SAVES}{WAITS}\ndef main(context):\n    wait(context)\n    save(context, b'second')"
    job = await alice.submit(code, parameters={"gate": str(gate)}, register=pb.RegisterOnSuccess(model="twice"))
    await alice.running(job)
    service = shared.user("service:training", "service")
    await service.models.RegisterModel(model_pb2.RegisterModelRequest(name="twice"))
    digest = await service.upload(b"first")
    tensor = model_pb2.TensorSpec(name="x", datatype="FP32", shape=[-1])
    await service.models.RegisterVersion(
        model_pb2.RegisterVersionRequest(
            model="twice",
            flavor="xgboost",
            artifact=model_pb2.Artifact(path="m", digest=digest, size_bytes=5),
            signature=model_pb2.Signature(inputs=[tensor], outputs=[tensor]),
            request_id=derived_id(job.id, "version"),
        )
    )
    gate.touch()
    job = await alice.ended(job)
    assert (job.registered_version, job.model_digest) == ("1.0.0", digest)
    assert len(await alice.versions("twice")) == 1


async def test_jobs_wait_for_cpus_in_their_order(alice: User, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"{WAITS}\ndef main(context): wait(context)"
    both = {"cpus": 2.0}
    first = await alice.submit(code, parameters={"gate": str(gate)}, resources=both)
    await alice.running(first)
    second = await alice.submit("def main(context): print(context.cpus)", resources=both)
    third = await alice.submit("def main(context): ...")
    fourth = await alice.submit("def main(context): ...")
    cancelled = await alice.jobs.CancelJob(pb.CancelJobRequest(job_id=fourth.id))
    assert (await alice.job(second.id)).status == (await alice.job(third.id)).status == pb.JOB_STATUS_QUEUED
    assert cancelled.status == pb.JOB_STATUS_CANCELLED
    gate.touch()
    ended = [await alice.ended(job) for job in (first, second, third)]
    assert [job.status for job in ended] == [pb.JOB_STATUS_SUCCEEDED] * 3
    starts = [job.started_at.ToDatetime() for job in ended]
    assert starts == sorted(starts)


async def test_logs_are_followed_while_the_job_runs(alice: User, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"{WAITS}\ndef main(context):\n    wait(context)\n    print('went on')"
    job = await alice.submit(code, parameters={"gate": str(gate)})
    log = await alice.prints(job, "working")
    following = asyncio.create_task(alice.log_part(job, len(log.encode()), follow=True))
    gate.touch()
    assert "went on" in (await following).text
    whole = await alice.prints(job, "attempt 1 succeeded")
    last = await alice.log_part(job, len(whole.encode()), follow=True)
    assert (last.text, last.complete) == ("", True)
    with pytest.raises(Invalid, match="offset: is 100000, but the log has"):
        await alice.log_part(job, 100_000)


async def test_the_same_request_is_one_job(alice: User) -> None:
    jobs = [await alice.submit("def main(context): ...", request_id="once") for _ in range(2)]
    assert jobs[0].id == jobs[1].id
    await alice.ended(jobs[0])


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"source_digest": "a" * 64}, "spec.source_digest: there is no .*; upload it first"),
        ({"datasets": [common.DatasetRef(dataset="absent", version=1)]}, r"spec.datasets\[0\]: there is no version 1"),
        ({"resources": {"cpus": 64.0}}, "spec.resources.cpus: is 64, but the cluster has 2"),
        ({"tags": {str(n): "x" for n in range(98)}}, "spec.tags: has 98 entries; allowed: 97"),
        ({"register": pb.RegisterOnSuccess(model="m", version="one")}, "spec.register.version"),
        ({"entry_point": "job"}, "spec.entry_point"),
        ({"name": ""}, "spec.name"),
    ],
)
async def test_a_job_that_cannot_run_is_refused(alice: User, spec: dict[str, Any], error: str) -> None:
    before = await alice.admin.GetStatus(common.GetStatusRequest())
    with pytest.raises(Invalid, match=error):
        await alice.submit(**spec)
    assert (await alice.admin.GetStatus(common.GetStatusRequest())).log_position == before.log_position


async def test_another_tenant_sees_and_runs_nothing(alice: User, shared: World) -> None:
    job = await alice.ended(await alice.submit("def main(context): ..."))
    eve = shared.user("eve", tenant="other")
    for call in (eve.job(job.id), eve.log(job), eve.jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(Invalid, match="runs jobs of the tenant 'acme' only"):
        await eve.submit(entry_point="builtins:repr")


async def test_jobs_are_listed_newest_first_and_as_they_were(alice: User) -> None:
    first, second = [await alice.ended(await alice.submit("def main(context): ...")) for _ in range(2)]
    page = await alice.jobs.ListJobs(pb.ListJobsRequest(page=common.Page(size=1)))
    assert [job.id for job in page.jobs] == [second.id]
    after = common.Page(size=1, token=page.next_page_token)
    assert [job.id for job in (await alice.jobs.ListJobs(pb.ListJobsRequest(page=after))).jobs] == [first.id]
    done = await alice.jobs.ListJobs(pb.ListJobsRequest(status=pb.JOB_STATUS_SUCCEEDED))
    assert {first.id, second.id} <= {job.id for job in done.jobs}
    then = common.ReadOptions(as_of=str(first.position))
    with pytest.raises(NotFound, match="as of"):
        await alice.jobs.GetJob(pb.GetJobRequest(job_id=second.id, read=then))
