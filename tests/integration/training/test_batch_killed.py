"""kill -9 of the training service in the middle of a batch: it goes on where it was, and no row is there twice."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from batch_case import expected, ledger_in, output_in, rows_of
from batch_jobs import digests, submitted, version_of
from modelog_proto.training.v1 import training_pb2 as pb
from training_world import World

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]
# Ray is started twice, which takes minutes on a busy machine.
RAY_S = 240.0


async def test_a_killed_service_goes_on_with_the_batch_where_it_was(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_world.PATIENCE_S", RAY_S)
    await world.come_up()
    alice = world.user()
    ref = await version_of(alice)
    rows = rows_of(1500)
    source, output = tmp_path / "june.parquet", tmp_path / "scored"
    rows.write_parquet(source)
    job = await submitted(alice, ref, source, output, parameters={"rows_at_once": 1})
    deadline = time.monotonic() + RAY_S
    while len(list(output.glob("part-*"))) < 20:
        if time.monotonic() > deadline:
            raise AssertionError(f"20 parts should be there by now\n{await alice.job(job.id)}\n{await alice.log(job)}")
        await asyncio.sleep(0.002)
    world.kill("training")
    done = {part["number"] for part in ledger_in(output)["parts"]}
    assert len(done) < 1500
    before = {n: (output / f"part-{n:08d}.parquet").stat().st_mtime_ns for n in done}
    world.start("training")
    await world.answers("training")
    await alice.jobs.GetJob(pb.GetJobRequest(job_id=job.id), wait_for_ready=True)
    job = await alice.ended(job)
    assert (job.status, job.attempt, job.error) == (pb.JOB_STATUS_SUCCEEDED, 2, "")
    assert {n: (output / f"part-{n:08d}.parquet").stat().st_mtime_ns for n in done} == before
    found = output_in(output)
    assert found["name"].to_list() == rows["name"].to_list()
    assert found["prediction"].to_numpy() == pytest.approx(expected(rows), abs=1e-6)
    assert job.batch.output_digest == ledger_in(output)["digest"]
    assert "of them before" in await alice.log(job)
    # The same batch somewhere else, never broken off, is the same to the byte.
    whole = await alice.ended(await submitted(alice, ref, source, tmp_path / "whole", parameters={"rows_at_once": 1}))
    assert whole.batch.output_digest == job.batch.output_digest
    assert digests(tmp_path / "whole") == digests(output)
    await world.close()
    assert world.stop("training") == 0
