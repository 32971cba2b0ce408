"""A batch on demand: from the command line to the output in a bucket, and its events.

The workers are processes as always; they are started without Ray, for which a busy machine takes minutes.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import modelog
import polars as pl
import psutil
import pytest
from modelog.api.jobs import JobFailed
from modelog.cli.main import app
from modelog.types import Job
from moto.server import ThreadedMotoServer
from toy_model import FEATURES, SIGNATURE, fitted, toy_rows
from typer.testing import CliRunner, Result
from whole_platform import whole_platform
from xgboost import Booster

NAME = "scored"
PATIENCE_S = 120.0
TRIES = 5
SmallPlatform = Any  # of the gateway's tests, which cannot be imported by name


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of a server of S3; the AWS_* variables lead to the server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
        client.create_bucket(Bucket="scores")
        yield client
    server.stop()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, s3: Any) -> Iterator[SmallPlatform]:
    with whole_platform(tmp_path_factory.mktemp("batches")) as running:
        yield running


def run(platform: SmallPlatform, *arguments: object, status: int = 0) -> Result:
    environment = {"MODELOG_URL": platform.url, "MODELOG_TOKEN": platform.token("alice", "admin"), "COLUMNS": "200"}
    done = CliRunner().invoke(app, [str(each) for each in arguments], env={**os.environ, **environment})
    assert done.exit_code == status, done.output
    return done


def registered(client: modelog.Client, name: str, folder: Path) -> Path:
    """Registers version 1.0.0 of a model of a test's own, and gives its file."""
    client.models.create(name)
    file = fitted(folder, 0)
    client.models.register(name, client.artifacts.upload(file), flavor="xgboost", signature=SIGNATURE)
    return file


def test_a_version_without_a_deployment_predicts_a_dataset_into_a_bucket(
    platform: SmallPlatform, s3: Any, tmp_path: Path
) -> None:
    rows = toy_rows(seed=5)
    with platform.client("alice") as alice:
        alice.datasets.register(NAME, rows)
        file = registered(alice, NAME, tmp_path)
        asked = (f"{NAME}:1.0.0", f"{NAME}@1", "s3://scores/toys", "--job", "--rows-at-once", "100")
        told = run(platform, "batch", *asked, "--query", "select * from input order by a desc").output
        (job,) = (each for each in alice.batches.list() if each.batch is not None and each.batch.model == NAME)
        assert told.splitlines()[0] == f"Job {job.id} runs {NAME} 1.0.0."
        batch = job.batch
        assert batch is not None
        assert f"s3://scores/toys: {rows.height:,} rows; SHA-256 {batch.output_digest}" in told
        assert (batch.rows, batch.model_digest) == (rows.height, hashlib.sha256(file.read_bytes()).hexdigest())
        assert alice.batches.progress(job).rows == rows.height
        names = [each["Key"] for each in s3.list_objects_v2(Bucket="scores", Prefix="toys/part-")["Contents"]]
        parts = [pl.read_parquet(io.BytesIO(s3.get_object(Bucket="scores", Key=name)["Body"].read())) for name in names]
        found = pl.concat(parts)
        assert found.select(rows.columns).equals(rows.sort("a", descending=True))
        booster = Booster(model_file=file)
        wanted = booster.inplace_predict(found.select(FEATURES).to_numpy().astype("float32"))
        assert found["prediction"].to_numpy() == pytest.approx(wanted, abs=1e-6)

        (begun,), (ended,) = (
            [e for e in alice.audit.events(type=f"training.Batch{what}") if e.payload["job_id"] == job.id]
            for what in ("Started", "Finished")
        )
        assert begun.payload["dataset"] == {"dataset": NAME, "version": 1}
        assert (ended.payload["rows"], ended.payload["output_digest"]) == (rows.height, batch.output_digest)
        shown = run(platform, "job", "show", job.id).output
        assert f"to s3://scores/toys: SHA-256 {batch.output_digest}" in shown
        assert alice.jobs.get(job.id, as_of=str(begun.position)).batch.output_digest == ""
        assert alice.jobs.get(job.id, as_of=str(begun.position - 1)).batch is None


def test_what_is_wrong_with_a_batch_is_said_by_its_job(platform: SmallPlatform, tmp_path: Path) -> None:
    toy_rows(seed=5).drop(FEATURES[0]).write_parquet(tmp_path / "few.parquet")
    job = ("--job", "--query", "select nothing from input")
    name = "wrong"
    with platform.client("alice") as alice:
        registered(alice, name, tmp_path)
    said = run(platform, "batch", f"{name}:1.0.0", tmp_path / "few.parquet", tmp_path / "out", *job, status=1).stderr
    assert "query: Binder Error" in said
    with platform.client("alice") as alice:
        for source, why in (
            (tmp_path / "few.parquet", f"has no column '{FEATURES[0]}'; the model takes"),
            (tmp_path / "none.csv", "none.csv: there is no such file"),
            ("s3://nobody-has-it/june", "there is no such object, or no bucket 'nobody-has-it'"),
        ):
            queued = alice.batches.submit(name, "1.0.0", str(source), str(tmp_path / "out"))
            with pytest.raises(JobFailed, match=why):
                alice.batches.wait(queued.id)


def batch_whose_worker_is_killed(alice: modelog.Client, source: Path, output: Path) -> Job:
    """A batch of which some parts were made when its worker was killed, after its end."""
    queued = alice.batches.submit("killed", "1.0.0", str(source), str(output), rows_at_once=1)
    deadline = time.monotonic() + PATIENCE_S
    while len(list(output.glob("part-*"))) < 10:
        if time.monotonic() > deadline:
            raise AssertionError(f"10 parts should be there by now: {alice.jobs.logs(queued.id)}")
        time.sleep(0.002)
    for process in psutil.Process().children():
        if "spawn_main" in " ".join(process.cmdline()):
            process.kill()
    return alice.batches.wait(queued.id)


def test_a_worker_that_is_killed_is_replaced_by_one_that_goes_on(platform: SmallPlatform, tmp_path: Path) -> None:
    rows = toy_rows(seed=6)
    rows.write_parquet(tmp_path / "toys.parquet")
    with platform.client("alice") as alice:
        registered(alice, "killed", tmp_path)
        for n in range(TRIES):
            output = tmp_path / f"out-{n}"
            done = batch_whose_worker_is_killed(alice, tmp_path / "toys.parquet", output)
            if done.attempt > 1:
                break
        # On a busy machine the worker may have ended before it was killed.
        assert done.attempt == 2
        assert "of them before" in alice.jobs.logs(done.id)
        parts = sorted(output.glob("part-*"))
        assert len(parts) == rows.height
        assert pl.read_parquet(parts).select(rows.columns).equals(rows)
        begun = [
            event.payload["attempt"]
            for event in alice.audit.events(type="training.BatchStarted")
            if event.payload["job_id"] == done.id
        ]
        assert sorted(begun) == [1, 2]
