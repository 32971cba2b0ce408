"""Batches as jobs on real Ray: in one process and side by side, events and progress, what is refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from batch_case import expected, ledger_in, output_in, rows_of
from batch_jobs import digests, submitted, version_of
from modelog_proto.training.v1 import training_pb2 as pb
from training_world import World

pytestmark = pytest.mark.slow


@pytest.mark.asyncio(loop_scope="module")
async def test_side_by_side_on_ray_data_is_what_one_process_makes(shared: World, tmp_path: Path) -> None:
    alice = shared.user("alice")
    ref = await version_of(alice)
    rows = rows_of(200)
    data = await alice.dataset(rows, name="june")
    source = f"june@{data.version}"
    one = await submitted(alice, ref, source, tmp_path / "one", datasets=[data], parameters={"rows_at_once": 16})
    two = await submitted(
        alice,
        ref,
        source,
        tmp_path / "two",
        datasets=[data],
        parameters={"rows_at_once": 16},
        resources={"cpus": 2.0},
    )
    one, two = await alice.ended(one), await alice.ended(two)
    assert (one.status, one.error) == (pb.JOB_STATUS_SUCCEEDED, "")
    assert (two.status, two.error) == (pb.JOB_STATUS_SUCCEEDED, ""), await alice.log(two)
    assert "13 parts side by side on Ray Data, in 2 processes" in await alice.log(two)
    assert "side by side" not in await alice.log(one)
    assert digests(tmp_path / "two") == digests(tmp_path / "one")
    found = output_in(tmp_path / "two")
    assert found["name"].to_list() == rows["name"].to_list()
    assert found["prediction"].to_numpy() == pytest.approx(expected(rows), abs=1e-6)
    version = (await alice.versions("late"))[0]
    for job, output in ((one, tmp_path / "one"), (two, tmp_path / "two")):
        batch = job.batch
        assert (batch.source, batch.dataset, batch.rows, batch.errors) == (source, data, 200, 0)
        assert (batch.model, batch.version, batch.model_digest) == ("late", "1.0.0", version.artifact.digest)
        assert (batch.output, batch.output_digest) == (str(output), ledger_in(output)["digest"])
        assert (job.metrics["batch/rows"], job.metrics["batch/rows_total"]) == (200, 200)
    # What a row says that stops it, in both ways.
    bad = tmp_path / "bad.csv"
    rows.with_columns(wind=pl.lit("strong")).write_csv(bad)
    for cpus in (1.0, 2.0):
        refused = await submitted(
            alice, ref, bad, tmp_path / f"no-{cpus:g}", resources={"cpus": cpus}, parameters={"rows_at_once": 50}
        )
        error = (await alice.ended(refused)).error
        assert "column 'wind': 'strong' is no number" in error
        assert not (await alice.job(refused.id)).batch.output_digest
    wrong = await submitted(alice, ref, tmp_path / "none.csv", tmp_path / "no")
    assert "none.csv: there is no such file" in (await alice.ended(wrong)).error
