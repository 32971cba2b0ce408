"""A benchmark on demand: a job of the training service that predicts a stored dataset with stored versions.

The workers are processes as always; they are started without Ray, for which a busy machine takes minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modelog
import pytest
from modelog.api.jobs import JobFailed
from modelog.cli.main import app
from modelog.types import DatasetRef
from toy_model import SIGNATURE, fitted, toy_rows
from typer.testing import CliRunner
from whole_platform import whole_platform

NAME = "measured"
DATA = DatasetRef(dataset=NAME, version=1)
SmallPlatform = Any  # of the gateway's tests, which cannot be imported by name


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    with whole_platform(tmp_path_factory.mktemp("benchmarks")) as running:
        yield running


def printed(platform: SmallPlatform, *arguments: str) -> str:
    """What a command prints."""
    environment = {"MODELOG_URL": platform.url, "MODELOG_TOKEN": platform.token("alice", "admin"), "COLUMNS": "200"}
    done = CliRunner().invoke(app, list(arguments), env={**os.environ, **environment})
    assert done.exit_code == 0, done.output
    return done.output


def test_versions_are_benchmarked_on_a_stored_dataset(platform: SmallPlatform, tmp_path: Path) -> None:
    with platform.client("alice") as alice:
        alice.datasets.register(NAME, toy_rows(seed=5))
        alice.models.create(NAME)
        for seed in (0, 3):
            artifact = alice.artifacts.upload(fitted(tmp_path, seed))
            alice.models.register(NAME, artifact, flavor="xgboost", signature=SIGNATURE)
        with pytest.raises(modelog.Invalid, match=r"spec\.models\[0\]: .*9\.9\.9.*; register it first"):
            alice.benchmarks.submit(NAME, "9.9.9", DATA)
        assert "nothing was measured yet" in printed(platform, "model", "benchmarks", NAME)
        asked = ("--dataset", f"{NAME}:1", "--against", "1.0.0", "--batch", "1", "--batch", "64", "--seconds", "0.1")
        told = printed(platform, "model", "benchmark", NAME, "1.1.0", *asked)
        (run,) = alice.benchmarks.list(NAME, "1.1.0")
        assert f"Run {run.id}." in told
        assert told.splitlines()[0].split() == ["benchmark", "1.1.0", "1.0.0", "difference"]
        # What the run keeps, the event that the job succeeded with keeps too.
        (event,) = alice.audit.events(type="training.JobSucceeded")
        assert event.payload is not None
        assert (event.payload["run_id"], event.payload["metrics"]) == (run.id, run.metrics)
        assert run.metrics["auc_lower"] < run.metrics["auc"] < run.metrics["auc_upper"]
        assert run.metrics["latency_p99_ms/64"] >= run.metrics["latency_p50_ms/64"] > 0
        assert run.metrics["difference/auc"] == pytest.approx(run.metrics["auc"] - run.metrics["against/auc"])
        assert run.metrics["memory_bytes"] >= 0
        assert [(d.dataset, d.version) for d in run.datasets] == [(NAME, 1)]
        assert alice.benchmarks.last(NAME, ["1.0.0", "1.1.0"]) == {"1.1.0": run}
        assert alice.benchmarks.list(NAME, as_of=str(run.position - 1)) == []
        failed = alice.benchmarks.submit(NAME, "1.1.0", DATA, label="late")
        with pytest.raises(JobFailed, match="there is no column 'late'"):
            alice.jobs.wait(failed.id)
        assert [r.id for r in alice.benchmarks.list(NAME)] == [run.id]
    assert run.id in printed(platform, "model", "benchmarks", NAME, "1.1.0")
    compared = printed(platform, "model", "compare", f"{NAME}/1.0.0", f"{NAME}/1.1.0")
    assert f"Last benchmarks of {NAME}/1.1.0: {NAME}:1" in compared
    assert "latency_p50_ms/64" in compared
