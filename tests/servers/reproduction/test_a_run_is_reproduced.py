"""`modelog run reproduce` runs real projects again: in a new environment, from commit and diff, on the same data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from modelog.types import Environment
from modelog_platform.servers.packages import run as run_command
from small_platform import SmallPlatform
from uv import find_uv_bin

ROOT = Path(__file__).parents[3]
PATIENCE_S = 600
PACKAGES = ("scikit-learn", "numpy", "polars", "psutil")
WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
TRAIN = """
import sys

import modelog
import polars
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from pack.settings import DEPTH

with modelog.start_run("flights", datasets=[("flights", 1)], parameters={"trees": int(sys.argv[1])}, seed=7) as run:
    rows = polars.read_parquet(run.dataset("flights", 1))
    model = RandomForestClassifier(int(sys.argv[1]), max_depth=DEPTH).fit(rows[["a", "b"]].to_numpy(), rows["late"])
    run.log_metric("auc", roc_auc_score(rows["late"], model.predict_proba(rows[["a", "b"]].to_numpy())[:, 1]))
    run.log_metric("depth", DEPTH)
"""
LUCKY = """
import modelog
import numpy
import polars

with modelog.start_run("flights", datasets=[("flights", 1)]) as run:
    rows = polars.read_parquet(run.dataset("flights", 1))
    run.log_metric("slope", numpy.polyfit(rows["a"], rows["b"], 1)[0])
    run.log_metric("luck", numpy.random.default_rng().integers(2**40))
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    small = SmallPlatform(tmp_path_factory.mktemp("platform"))
    small.start()
    with small.client() as client:
        rows = {
            "a": [n * 7 % 11 for n in range(60)],
            "b": [n * 5 % 13 for n in range(60)],
            "late": [n % 3 == 0 for n in range(60)],
        }
        client.datasets.register("flights", pl.DataFrame(rows))
    yield small
    small.stop()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the projects ran in, with the versions that are locked here."""
    home = tmp_path_factory.mktemp("first")
    uv = find_uv_bin()
    wanted = [f"{name}=={version(name)}" for name in PACKAGES]
    run_command(home, [uv, "venv", "--quiet", "--python", sys.executable, "venv"])
    local = [str(ROOT / "libs" / "sdk"), str(ROOT / "libs" / "proofs")]
    run_command(home, [uv, "pip", "install", "--quiet", "--python", "venv/bin/python", *wanted, *local])
    return home / "venv" / "bin" / "python"


def project(folder: Path, program: str = TRAIN) -> Path:
    """A repository of one commit, and a work tree that differs from it."""
    (folder / "models" / "pack").mkdir(parents=True)
    (folder / "models" / "train.py").write_text(program)
    (folder / "models" / "pack" / "settings.py").write_text("DEPTH = 1\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "models" / "pack" / "settings.py").write_text("from pack.deep import DEPTH\n")
    (folder / "models" / "pack" / "deep.py").write_text("DEPTH = 4\n")
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env={**os.environ, **WHO})


def environ(platform: SmallPlatform, home: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MODELOG_", "PYTHON"))}
    token = platform.token("alice", "developer")
    return {**plain, "MODELOG_URL": platform.url, "MODELOG_TOKEN": token, "MODELOG_DATASETS": str(home / "first")}


def first_run(python: Path, platform: SmallPlatform, source: Path, home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [python, "train.py", *arguments],
        cwd=source / "models", env=environ(platform, home), capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with platform.client() as client:
        return client.runs.list("flights")[0].id


def reproduced(
    platform: SmallPlatform, run_id: str, source: Path, home: Path, *options: str, status: int
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "modelog.cli.main", "run", "reproduce", run_id, "--json",
         "--folder", str(home / "again"), "--repository", str(source), *options],
        cwd=home, env=environ(platform, home), capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == status, f"exit status {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return dict(json.loads(done.stdout)) if done.stdout else {"error": done.stderr}


def test_a_metric_agrees_though_the_work_tree_has_gone_on(
    python: Path, platform: SmallPlatform, tmp_path: Path
) -> None:
    source = project(tmp_path / "project")
    run_id = first_run(python, platform, source, tmp_path, "5")
    (source / "models" / "pack" / "deep.py").write_text("DEPTH = 2\n")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "second")

    found = reproduced(platform, run_id, source, tmp_path, status=0)

    assert {m["metric"]: m["agrees"] for m in found["metrics"]} == {"auc": True, "depth": True}
    with platform.client() as client:
        was, again = client.runs.get(run_id), client.runs.get(found["new_run_id"])
    assert again.id != was.id
    assert again.tags["modelog.reproduces"] == was.id
    assert was.environment is not None
    assert again.environment is not None
    assert (again.metrics["auc"], again.metrics["depth"]) == (was.metrics["auc"], 4)
    assert (again.parameters, again.datasets) == (was.parameters, was.datasets)
    assert again.environment.packages == was.environment.packages
    assert again.environment.python == was.environment.python
    assert again.environment.git_commit == was.environment.git_commit
    # The diff of the reproduction is that of the run.
    assert again.environment.git_diff == was.environment.git_diff != ""
    assert (was.environment.git_folder, was.environment.entry_point) == ("models", "train.py")
    assert [artifact.path for artifact in was.artifacts] == ["environment/git.diff"]


def test_a_metric_that_does_not_agree_is_told(python: Path, platform: SmallPlatform, tmp_path: Path) -> None:
    source = project(tmp_path / "project", LUCKY)
    run_id = first_run(python, platform, source, tmp_path)
    found = reproduced(platform, run_id, source, tmp_path, status=3)
    assert {m["metric"]: m["agrees"] for m in found["metrics"]} == {"slope": True, "luck": False}


def test_what_cannot_be_had_or_does_not_run_is_told(platform: SmallPlatform, tmp_path: Path) -> None:
    source = project(tmp_path / "project")
    (source / "fails.py").write_text("raise SystemExit('no weather today')\n")
    (source / "nothing.py").write_text("print('hello')\n")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "second")
    commit = subprocess.check_output(["git", "-C", str(source), "rev-parse", "HEAD"], text=True).strip()
    told = Environment(python=sys.version.split()[0], packages={"idna": version("idna")}, git_commit=commit)
    cases = {
        "fails.py": (commit, "exit status 1; the end of"),
        "nothing.py": (commit, "it ran, and started no run"),
        "train.py": ("0" * 40, "is not to be had; name its repository with --repository"),
    }
    with platform.client() as client:
        client.runs.experiment("flights")
        for script, (commit, said) in cases.items():
            told.entry_point, told.git_commit = script, commit
            run = client.runs.start("flights", environment=told)
            client.runs.log(run.id, metrics={"auc": 0.7})
            assert said in reproduced(platform, run.id, source, tmp_path, status=1)["error"]
