"""`modelog.start_run` records what a run ran in, and what its machine was busy with."""

from __future__ import annotations

import math
import random
import sys
import threading
from pathlib import Path

import modelog
import numpy
import polars as pl
import pytest
from modelog.cli.main import app
from modelog.system_metrics import Machine
from small_platform import SmallPlatform
from typer.testing import CliRunner

# As MLflow names them.
NAMES = {
    "system/cpu_utilization_percentage",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
    "system/disk_usage_percentage",
    "system/disk_usage_megabytes",
    "system/disk_available_megabytes",
    "system/network_receive_megabytes",
    "system/network_transmit_megabytes",
}


def test_what_it_ran_in_is_recorded(
    platform: SmallPlatform, alice: modelog.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOG_CONTAINER_IMAGE", "registry.example/train:7")
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    # The platform, which is in this process too, draws from the same generators meanwhile: what counts is the seeding.
    seeded: list[tuple[str, int]] = []
    monkeypatch.setattr(random, "seed", lambda seed: seeded.append(("random", seed)))
    monkeypatch.setattr(numpy.random, "seed", lambda seed: seeded.append(("numpy", seed)))
    with modelog.start_run("recorded", parameters={"depth": 6}, seed=7, seeds={"mine": 8}, client=alice) as run:
        run.log_metric("auc", 0.7)
    assert seeded == [("random", 7), ("numpy", 7)]
    found = alice.runs.get(run.id)
    told = found.environment
    assert told is not None
    assert (found.status, found.parameters, found.metrics["auc"]) == ("RUN_STATUS_COMPLETED", {"depth": 6}, 0.7)
    assert (told.python, told.packages["numpy"]) == (sys.version.split()[0], numpy.__version__)
    assert {"random": 7, "numpy": 7, "mine": 8, "PYTHONHASHSEED": 3}.items() <= told.seeds.items()
    assert told.container_image == "registry.example/train:7"
    assert int(told.hardware["cores"]) > 0
    assert int(told.hardware["memory_bytes"]) > 0
    assert told.arguments == sys.argv[1:]
    monkeypatch.setenv("MODELOG_URL", platform.url)
    monkeypatch.setenv("MODELOG_TOKEN", platform.token("alice", "developer"))
    shown = CliRunner().invoke(app, ["run", "show", run.id])
    assert shown.exit_code == 0
    assert "registry.example/train:7" in shown.output
    assert "numpy=7" in shown.output


def test_a_dataset_is_the_recorded_one(alice: modelog.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELOG_DATASETS", str(tmp_path))
    version = alice.datasets.register("active", pl.DataFrame({"x": [1, 2]}))
    with modelog.start_run("with data", datasets=[("active", 1)], client=alice, system_metrics=False) as run:
        file = run.dataset("active", 1)
        assert pl.read_parquet(file)["x"].to_list() == [1, 2]
        with pytest.raises(modelog.Invalid, match="was not started with active 2"):
            run.dataset("active", 2)
    assert [d.digest for d in alice.runs.get(run.id).datasets] == [version.digest]
    # A file that somebody changed is fetched again.
    file.write_bytes(b"other")
    with modelog.start_run("with data", datasets=[("active", 1)], client=alice, system_metrics=False) as run:
        assert pl.read_parquet(run.dataset("active", 1))["x"].to_list() == [1, 2]


def test_an_exception_ends_the_run_as_failed(alice: modelog.Client) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        modelog.start_run("fails", client=alice, system_metrics=False) as run,
    ):
        run.log_params({"a": 1})
        _ = 1 / 0
    found = alice.runs.get(run.id)
    assert (found.status, found.error) == ("RUN_STATUS_FAILED", "ZeroDivisionError: division by zero")


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_seed_is_a_whole_number(alice: modelog.Client, seed: int) -> None:
    with pytest.raises(modelog.Invalid, match="seed must be a whole number from 0"):
        modelog.start_run("seeds", seed=seed, client=alice)


def test_system_metrics_have_mlflows_names_and_steps(alice: modelog.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    thrice = threading.Event()
    sample, taken = Machine.sample, []

    def counted(machine: Machine) -> dict[str, float]:
        taken.append(1)
        if len(taken) > 3:
            thrice.set()
        return sample(machine)

    monkeypatch.setattr(Machine, "sample", counted)
    with modelog.start_run("sampled", system_metrics=True, interval_s=0.05, client=alice) as run:
        assert thrice.wait(150), "the machine was not sampled four times in 150 s"
    found = alice.runs.get(run.id)
    assert set(found.metrics) >= NAMES
    assert all(math.isfinite(value) and value >= 0 for value in found.metrics.values())
    assert 0 < found.metrics["system/system_memory_usage_percentage"] <= 100
    history = alice.runs.history(run.id, "system/cpu_utilization_percentage")
    assert history.steps == list(range(len(history.steps)))
    assert len(history.steps) == len(taken)


def test_a_run_that_recorded_too_little_is_not_reproduced(
    platform: SmallPlatform, alice: modelog.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELOG_URL", platform.url)
    monkeypatch.setenv("MODELOG_TOKEN", platform.token("alice", "developer"))
    alice.runs.experiment("plain")
    run = alice.runs.start("plain")
    told = CliRunner().invoke(app, ["run", "reproduce", run.id, "--folder", str(tmp_path)])
    assert told.exit_code == 1
    assert "it recorded no environment" in told.output
