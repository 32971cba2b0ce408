"""What is deployed, watched, tested and trained of a model in a restricted workspace, for members and for others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import modelog
import numpy as np
import polars as pl
import pytest
import xgboost
from modelog.errors import NotFound
from modelog.types import Signature, TensorSpec
from modelog_monitoring.retraining.events import CanaryDecided, RetrainingRefused
from small_platform import SmallPlatform
from written_canary import AT, begun, looked, write

COLUMNS = ["hour", "wind"]
SIGNATURE = Signature(
    inputs=[TensorSpec(name="features", datatype="FP32", shape=[-1, 2], columns=COLUMNS)],
    outputs=[TensorSpec(name="late", datatype="FP32", shape=[-1])],
)
OPEN, CLOSED = "open", "closed"
PATIENCE_S = 150


def deploy(alice: modelog.Client, name: str, workspace: str) -> Any:
    """A model, its deployment, and all that leads to it, by the same name; the job that makes a version of it."""
    rows = np.random.default_rng(7).normal(size=(100, 2)).astype(np.float32)
    data = xgboost.DMatrix(rows, (rows[:, 0] > 0).astype(int), feature_names=COLUMNS)
    file = bytes(xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 2).save_raw("ubj"))
    alice.models.create(name, workspace=workspace)
    for _ in range(2):
        artifact = alice.artifacts.upload_bytes(file, "model.ubj")
        alice.models.register(name, artifact, flavor="xgboost", signature=SIGNATURE)
    alice.deployments.create(name, name, "1.0.0", "dev")
    frame = pl.DataFrame({"hour": [0.1, 0.2, 0.7] * 40, "wind": [1.0, 2.0, 3.0] * 40, "label": [0, 1, 0] * 40})
    reference = alice.datasets.register(f"reference-{name}", frame)
    alice.monitors.create(name, name, [reference.ref], label_column="label", reference_auc=0.7)
    job = alice.jobs.spec("again", "train:main", register=name)
    alice.monitors.create_policy(name, name, job, f"reference-{name}", canary_percent=10, canary_rows=100)
    alice.ab_tests.create(name, name, "1.0.0", "1.1.0", min_effect=0.1, baseline=0.3)
    return alice.jobs.submit(job)


@pytest.fixture(scope="module")
def jobs(platform: SmallPlatform) -> dict[str, str]:
    """Jobs of two models: one that is in sight of all, and one in a workspace of alice's."""
    with platform.client("alice", "developer") as alice:
        alice.workspaces.create("fraud")
        alice.workspaces.update("fraud", access="restricted")
        made = {OPEN: deploy(alice, OPEN, "").id, CLOSED: deploy(alice, CLOSED, "fraud").id}
        for name in made:
            end = [looked(name, 1), CanaryDecided(name, False, "no", AT), RetrainingRefused(name, "no", AT)]
            write(platform.folder, name, [*begun(name, name, name), *end])
        deadline = time.monotonic() + PATIENCE_S
        while {r.id for r in alice.monitors.retrainings()} < made.keys():
            assert time.monotonic() < deadline, f"monitoring did not read the retrainings in {PATIENCE_S} s"
            time.sleep(0.02)
        return made


@pytest.fixture
def eve(platform: SmallPlatform, jobs: dict[str, str]) -> Iterator[modelog.Client]:
    """Who is no member; she never asked before anything was hidden from her."""
    with platform.client("eve", "developer") as client:
        yield client


def lists(client: modelog.Client) -> dict[str, set[str]]:
    return {
        "deployments": {d.name for d in client.deployments.list()},
        "monitors": {m.name for m in client.monitors.list()},
        "policies": {p.name for p in client.monitors.policies()},
        "retrainings": {r.id for r in client.monitors.retrainings()},
        "A/B tests": {t.name for t in client.ab_tests.list()},
        "jobs": {job.spec["register"]["model"] for job in client.jobs.list()},
    }


def test_lists_leave_out_what_is_about_a_hidden_model(
    platform: SmallPlatform, jobs: dict[str, str], eve: modelog.Client
) -> None:
    assert [names & {OPEN, CLOSED} for names in lists(eve).values()] == [{OPEN}] * 6
    for user, role in (("alice", "developer"), ("root", "admin")):
        with platform.client(user, role) as client:
            assert all(names >= {OPEN, CLOSED} for names in lists(client).values()), user
    assert eve.ab_tests.list(CLOSED) == eve.monitors.alerts(CLOSED) == eve.monitors.retrainings(CLOSED) == []


def test_nobody_but_a_member_asks_for_it_or_changes_it(jobs: dict[str, str], eve: modelog.Client) -> None:
    job = eve.jobs.spec("mine", "train:main", register=CLOSED)
    calls = [
        lambda name: eve.deployments.get(name),
        lambda name: eve.deployments.set_traffic(name, {"1.0.0": 50, "1.1.0": 50}),
        lambda name: eve.monitors.get(name),
        lambda name: eve.monitors.windows(name),
        lambda name: eve.monitors.series(name, "auc"),
        lambda name: eve.monitors.retraining(name),
        lambda name: eve.monitors.canary_looks(name),
        lambda name: eve.ab_tests.get(name),
        lambda name: eve.ab_tests.looks(name),
        lambda name: eve.ab_tests.stop(name, "because"),
        lambda name: eve.jobs.get(jobs[name]),
        lambda name: eve.jobs.cancel(jobs[name]),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(NotFound, match="there is no "):
            call(CLOSED)
        assert call(OPEN) is not None, number
    for refused in (
        lambda: eve.jobs.submit(job),
        lambda: eve.deployments.create("mine", CLOSED, "1.0.0", "dev"),
        lambda: eve.monitors.create_policy("mine", CLOSED, eve.jobs.spec("a", "b:c"), "reference-open"),
        lambda: eve.deployments.stop(CLOSED),
    ):
        with pytest.raises(NotFound, match="there is no "):
            refused()


def test_who_becomes_a_member_sees_it_after_a_moment(
    platform: SmallPlatform, jobs: dict[str, str], eve: modelog.Client
) -> None:
    with platform.client("alice", "developer") as alice, platform.client("mallory", "developer") as mallory:
        assert CLOSED not in lists(mallory)["deployments"]
        alice.workspaces.set_member("fraud", "mallory", "viewer")
        assert CLOSED in lists(mallory)["deployments"]
        with pytest.raises(modelog.Forbidden):
            mallory.models.tag(CLOSED, {"a": "b"})
