"""A small story told with the command line: from data to a proved log, and the same answers after a rebuild."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import modelog
import numpy as np
import pytest
from modelog.stream import StreamProducer
from running_platform import RunningPlatform, until
from toy_model import FEATURES, PROJECT, toy_rows

NAME = "toy"
MONTH_US = 31 * 24 * 3600 * 1_000_000
FIRST_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
BATCHES, BATCH_ROWS = 4, 100
TRIES = 8


@dataclass
class Story:
    """What happened, and what was printed."""

    platform: RunningPlatform
    version: str = ""
    refusal: str = ""
    job_said: str = ""
    prediction: dict[str, Any] = field(default_factory=dict)

    def answers(self) -> dict[str, Any]:
        """What the platform knows, as the command line prints it for programs."""
        prediction_id = self.prediction["prediction_ids"][0]
        questions = {
            "models": ("model", "list"),
            "runs": ("run", "list"),
            "datasets": ("dataset", "list"),
            "dataset versions": ("dataset", "list", NAME),
            "jobs": ("job", "list"),
            "deployments": ("deploy", "list"),
            "monitors": ("monitor", "list"),
            "windows": ("monitor", "windows", NAME),
            "alerts": ("monitor", "alerts"),
            "lineage": ("lineage", "trace", f"ModelVersion:{NAME}/{self.version}"),
            "what came of the data": ("lineage", "trace", f"DatasetVersion:{NAME}/1", "--downstream"),
            "catalogue": ("search", NAME, "--limit", "100"),
            "catalogue before": ("search", NAME, "--as-of", "8"),
            "in production": ("search", "--kind", "version", "--tag", "stage=production"),
            "prediction": ("deploy", "prediction", NAME, prediction_id),
            "prediction's lineage": ("lineage", "prediction", NAME, prediction_id),
            "models before": ("model", "list", "--as-of", "5"),
            "users": ("user", "list"),
        }
        return {name: self.platform.json(*question) for name, question in questions.items()}


@pytest.fixture(scope="module")
def story(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Data, training, four eyes, production, a deployment, predictions and a closed window."""
    told, cli, folder = Story(platform), platform.cli, tmp_path_factory.mktemp("toy")
    toy_rows().write_parquet(folder / "toy.parquet")
    (folder / "project").mkdir()
    (folder / "project" / "toytrain.py").write_text(PROJECT)
    for name, roles in (("alice", ("developer", "reviewer")), ("bob", ("reviewer",))):
        cli("user", "add", name, *(f"--role={role}" for role in roles))
        cli("token", name, "--remember")
    cli("dataset", "register", NAME, str(folder / "toy.parquet"), "--label", "first", user="alice")
    cli("model", "create", NAME, user="alice")
    job = ("job", "submit", NAME, "toytrain:main", "--source", str(folder / "project"), "--dataset", f"{NAME}=1")
    told.job_said = cli(*job, "-p", "rounds=8", "--register", NAME, "--follow", user="alice", timeout_s=600).stdout
    (model,) = (m for m in platform.json("model", "list") if m["name"] == NAME)
    told.version = model["versions"][0]["version"]
    approve = ("model", "approve", NAME, told.version, "-m", "looked at it")
    told.refusal = cli(*approve, user="alice", exit_status=1).stderr
    cli(*approve, user="bob")
    for stage in ("staging", "production"):
        cli("model", "promote", NAME, told.version, stage, "--reason", "approved", user="alice")
    cli("deploy", "create", NAME, NAME, told.version, user="alice")
    told.prediction = platform.json("predict", NAME, "-f", "a=0.9", "-f", "b=0.8", "-f", "c=0.1", user="alice")
    close_a_window(platform.client("alice"))
    return told


def close_a_window(alice: modelog.Client) -> None:
    """Create a monitor, and stream a month of requests and outcomes by: there is no command for either."""
    with alice:
        monitor = alice.monitors.create(NAME, NAME, [alice.datasets.version(NAME, 1).ref], label_column="label")
        with StreamProducer(alice, NAME) as stream:
            for n in range(BATCHES):
                rows = toy_rows(seed=n + 1, rows=BATCH_ROWS)
                ids = [f"{NAME}-{n}-{row}" for row in range(BATCH_ROWS)]
                times = np.full(BATCH_ROWS, FIRST_US + n * MONTH_US // BATCHES)
                watermark = FIRST_US + (n + 1) * MONTH_US // BATCHES
                matrix = rows.select(FEATURES).to_numpy()
                stream.send_requests(ids, times, matrix, FEATURES, watermark_us=watermark)
                stream.send_outcomes(ids, rows["label"].to_numpy(), times + 1, watermark_us=watermark)
        until("the window of January is closed", lambda: alice.monitors.windows(monitor.name))


def test_the_job_trained_and_registered(story: Story) -> None:
    assert "fitted 600 rows" in story.job_said
    assert re.search(r"succeeded: \{.*accuracy", story.job_said)
    shown = story.platform.json("model", "show", NAME, story.version)
    assert shown["stage"] == "STAGE_PRODUCTION"
    assert shown["author"] == "alice"
    assert shown["metrics"]["accuracy"] > 0.8
    run = story.platform.json("run", "show", shown["run_id"])
    assert run["parameters"]["rounds"] == 8
    (dataset,) = story.platform.json("dataset", "list", NAME)
    assert [d["digest"] for d in run["datasets"]] == [dataset["digest"]]


def test_ones_own_model_is_not_ones_to_approve(story: Story) -> None:
    assert "alice registered toy 1.0.0 and may not approve it; ask someone else" in story.refusal
    reviews = story.platform.json("model", "show", NAME, story.version)["reviews"]
    assert [r["reviewer"] for r in reviews] == ["bob"]


def test_the_prediction_is_answered_and_logged(story: Story) -> None:
    assert story.prediction["version"] == story.version
    ((score,),) = story.prediction["outputs"]
    assert 0.5 < score < 1
    logged = story.platform.json("deploy", "prediction", NAME, story.prediction["prediction_ids"][0])
    assert logged["outputs"] == pytest.approx([score])
    assert logged["features"] == pytest.approx({"a": 0.9, "b": 0.8, "c": 0.1})


def test_the_prediction_is_proven_offline(story: Story, tmp_path: Path) -> None:
    cli, (prediction_id,) = story.platform.cli, story.prediction["prediction_ids"]
    proof, key, note = tmp_path / "proof.json", tmp_path / "audit.pub", tmp_path / "checkpoint.txt"
    cli("prove", prediction_id, "--out", str(proof))
    assert cli("prove", prediction_id, "--deployment", NAME).stdout.startswith('{"format":"modelog.prediction-proof/4"')
    cli("audit", "checkpoint", "--out", str(note), "--key-out", str(key))
    said = cli("verify", str(proof), "--key", str(key)).stdout
    (dataset,) = story.platform.json("dataset", "list", NAME)
    run_id = story.platform.json("model", "show", NAME, story.version)["run_id"]
    for line in (
        f"{prediction_id} of {NAME}", f"{NAME} {story.version}, file ", "approved    by bob at position",
        f"run         {run_id} by", f"trained on  {NAME} 1, digest {dataset['digest']}", "PROVEN",
    ):  # fmt: skip
        assert line in said
    proof.write_text(proof.read_text().replace('"key":"', '"key":"x'))
    assert "does not lead to the root" in cli("verify", str(proof), "--key", str(key), exit_status=1).stderr
    assert f"no prediction 'none' of '{NAME}'" in cli("prove", "none", "--deployment", NAME, exit_status=1).stderr


def test_the_incumbent_replayed_answers_the_same(story: Story) -> None:
    found = story.platform.json("replay", NAME, "--slice", "a")
    assert found["identical"]
    assert found["logged_digest"] == found["replayed_digest"]
    assert found["versions"] == {story.version: BATCHES * BATCH_ROWS + 1}
    assert sum(each["count"] for each in found["slices"]) == found["whole"]["count"] == BATCHES * BATCH_ROWS + 1
    said = story.platform.cli("replay", NAME, "--candidate", story.version).stdout
    assert f"again by {story.version}" in said
    assert "(identical)" in said


def test_the_window_counts_each_prediction_once(story: Story) -> None:
    (window,) = story.platform.json("monitor", "windows", NAME)
    assert (window["predictions"], window["labelled"]) == (BATCHES * BATCH_ROWS, BATCHES * BATCH_ROWS)
    assert window["quality"]["auc"] > 0.8


def test_the_log_tells_who_did_what(story: Story) -> None:
    events = story.platform.json("events", "list", "--type", "registry.VersionPromoted", "--actor", "alice")
    promoted = [e for e in events if e["payload"]["model"] == NAME]
    assert [e["payload"]["to_stage"] for e in promoted] == ["staging", "production"]
    before = str(promoted[0]["position"] - 1)
    (then,) = (m for m in story.platform.json("model", "list", "--as-of", before) if m["name"] == NAME)
    assert then["versions"][0]["stage"] == "STAGE_DEVELOPMENT"


def test_the_way_back_of_a_prediction(story: Story) -> None:
    prediction_id = story.prediction["prediction_ids"][0]

    def kinds() -> set[str]:
        graph = story.platform.json("lineage", "prediction", NAME, prediction_id)
        return {node["kind"] for node in graph["nodes"]}

    wanted = {"Prediction", "ModelVersion", "Run", "DatasetVersion", "Approval"}
    until(f"the way back has {wanted}", lambda: wanted <= kinds())


def test_everything_is_found_by_its_words(story: Story) -> None:
    platform = story.platform
    found = platform.json("search", NAME, "--limit", "100")
    assert {"Model", "ModelVersion", "DatasetVersion", "Run", "Deployment", "Monitor"} <= {
        facet["name"] for facet in found["kinds"]
    }
    (version,) = platform.json("search", NAME, "--kind", "version", "--tag", "stage=production")["entries"]
    assert version["id"] == f"ModelVersion:{NAME}/{story.version}"
    shown = platform.cli("search", NAME[:2], "--kind", "version").stdout
    assert version["id"] in shown
    assert "kinds: version (1)" in shown
    assert "kinds: 'planet' is not in the catalogue" in platform.cli("search", "--kind", "planet", exit_status=1).stderr
    assert "nothing found" in platform.cli("search", "nothing like it").stdout


def test_the_log_is_intact(story: Story) -> None:
    report = story.platform.json("audit", "verify")
    assert report["intact"]
    assert report["events"] > 20


def test_a_rebuild_changes_no_answer(story: Story) -> None:
    for _ in range(TRIES):
        head = story.platform.until_projected()
        before = story.answers()
        rebuilt = story.platform.json("rebuild")
        reached = [story.platform.until_projected()]
        after = story.answers()
        reached.append(story.platform.until_projected())
        if reached == [head, head]:
            break
        # A minute of traffic ended, a segment was sealed, or a version was tried meanwhile.
    assert reached == [head, head], "a rebuild appends nothing"
    assert {s["service"] for s in rebuilt if s["projections"]} == {
        "registry", "training", "serving", "monitoring", "lineage", "gateway",
    }  # fmt: skip
    for question, answer in before.items():
        assert after[question] == answer, question
    assert json.dumps(before["lineage"]).count(NAME) > 3
    assert before["windows"]
    assert story.platform.json("audit", "verify")["intact"]


def test_the_version_was_tried_and_the_command_waits_for_it(story: Story) -> None:
    platform = story.platform
    said = platform.cli("model", "trial", NAME, story.version, "--wait", user="alice", timeout_s=600).stdout
    assert re.search(r"state +works", said)
    assert re.search(r"asked +1024 rows", said)
    found = platform.json("model", "trial", NAME, story.version)
    assert found["state"] == "TRIAL_STATE_WORKS"
    before = platform.json("model", "trial", NAME, story.version, "--as-of", str(int(found["position"]) - 1))
    assert before["state"] == "TRIAL_STATE_WAITING"
    assert "9.9.9" in platform.cli("model", "trial", NAME, "9.9.9", user="alice", exit_status=1).stderr
