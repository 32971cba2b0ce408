"""Jobs, deployments, predictions and monitors through the SDK and the command line, against running services."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cloudpickle
import lightgbm
import modelog
import numpy as np
import polars as pl
import pytest
import xgboost
import yaml
from modelog.api.jobs import JobFailed
from modelog.cli.main import app
from modelog.inference import predict
from modelog.types import AlertChannel, DatasetRef, Job, Signature, TensorSpec
from small_platform import SmallPlatform
from typer.testing import CliRunner, Result

COLUMNS = ["hour", "wind"]
SIGNATURE = Signature(
    inputs=[TensorSpec(name="features", datatype="FP32", shape=[-1, 2], columns=COLUMNS)],
    outputs=[TensorSpec(name="late", datatype="FP32", shape=[-1])],
)
ROWS = [{"hour": 1.0, "wind": 2.0}, {"wind": 0.5, "hour": 0.25}]


@pytest.fixture
def run(platform: SmallPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MODELOG_PROFILE", str(tmp_path / "profile.json"))
    monkeypatch.setenv("MODELOG_URL", platform.url)
    monkeypatch.setenv("MODELOG_TOKEN", platform.token("alice", "admin"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == status, result.output
        return result

    return run


def booster() -> xgboost.Booster:
    draw = np.random.default_rng(7)
    features = draw.normal(size=(200, 2)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(int)
    data = xgboost.DMatrix(features, labels, feature_names=COLUMNS)
    return xgboost.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, data, 3)


@pytest.fixture(scope="module")
def deployed(platform: SmallPlatform) -> str:
    """A deployment in dev that answers."""
    with platform.client("alice", "developer") as alice:
        alice.models.create("late")
        artifact = alice.artifacts.upload_bytes(bytes(booster().save_raw("ubj")), "model.ubj")
        alice.models.register("late", artifact, flavor="xgboost", signature=SIGNATURE)
        alice.deployments.create("late", "late", "1.0.0", "dev")
    return "late"


def test_a_model_keeps_its_name_while_it_is_deployed(deployed: str, alice: modelog.Client) -> None:
    with pytest.raises(modelog.NotAllowed, match="late is served by late, and is known there by its name; stop what"):
        alice.models.rename("late", "later")
    artifact = alice.models.version("late", "1.0.0").artifact
    alice.models.create("once")
    alice.models.register("once", artifact, flavor="xgboost", signature=SIGNATURE)
    alice.deployments.create("once-live", "once", "1.0.0", "dev")
    with pytest.raises(modelog.NotAllowed, match="once is served by once-live"):
        alice.models.rename("once", "once-more")
    alice.deployments.stop("once-live")
    assert alice.models.rename("once", "once-more").versions[0].model == "once-more"


def test_a_deployment_answers_records_by_feature_name(deployed: str, alice: modelog.Client) -> None:
    answer = predict(alice, deployed, ROWS)
    expected = booster().inplace_predict(np.array([[1.0, 2.0], [0.25, 0.5]], np.float32))
    assert np.allclose(np.array(answer["outputs"])[:, 0], expected, atol=1e-6)
    assert answer["version"] == "1.0.0"
    assert len(set(answer["prediction_ids"])) == 2
    logged = alice.deployments.prediction(deployed, answer["prediction_ids"][0])
    assert (logged.version, logged.features) == ("1.0.0", ROWS[0])
    assert predict(alice, deployed, ROWS[:1], version="1.0.0")["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("deployment", "records", "error", "text"),
    [
        ("late", [], modelog.Invalid, "at least one record"),
        ("late", [{}], modelog.Invalid, "at least one record"),
        ("late", [{"hour": 1}, {"wind": 1}], modelog.Invalid, r"records\[1\]: has the features \['wind'\]"),
        ("late", [{"hour": 1, "rain": 1}], modelog.Invalid, "rain"),
        ("nothing", [{"hour": 1}], modelog.NotFound, "nothing"),
    ],
)
def test_wrong_records_are_refused_in_words(
    deployed: str, alice: modelog.Client, deployment: str, records: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        predict(alice, deployment, records)


def test_a_trial_can_be_asked_for_only_where_versions_are_tried(deployed: str, alice: modelog.Client, run: Any) -> None:
    with pytest.raises(modelog.NotAllowed, match="versions are not tried here: there are no topics"):
        alice.trials.again("late", "1.0.0", "no memory")
    assert "versions are not tried here" in run("model", "try", "late", "1.0.0", "-m", "no memory", status=1).output


def test_a_subject_is_told_serving(deployed: str, alice: modelog.Client) -> None:
    with pytest.raises(modelog.Invalid, match="parameters.subject: .*this model takes and gives numbers alone"):
        predict(alice, deployed, ROWS, subject="customer-17")


def test_predicting_needs_a_token(deployed: str, platform: SmallPlatform, alice: modelog.Client) -> None:
    alice._transport.authorization["Authorization"] = f"Bearer {platform.token('late', 'admin', lifetime_s=-1)}"
    with pytest.raises(modelog.Unauthenticated, match="expired"):
        predict(alice, deployed, ROWS)


def test_deployments_on_the_command_line(run: Any, deployed: str, tmp_path: Path) -> None:
    assert "nothing is deployed yet" in run("deploy", "list", "--as-of", "1").output
    assert deployed in run("deploy", "list").output
    assert json.loads(run("deploy", "list", "--json").output)[0]["name"] == deployed
    assert "1.0.0=100 %" in run("deploy", "show", deployed).output
    assert json.loads(run("deploy", "show", deployed, "--json").output)["model"] == "late"
    assert "1.0.0" in run("deploy", "traffic", deployed, "1.0.0=100").output
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(ROWS))
    answer = json.loads(run("predict", deployed, "--file", file, "--json").output)
    assert len(answer["outputs"]) == 2
    shown = run("predict", deployed, "-f", "hour=1", "-f", "wind=2").output
    assert "late 1.0.0" in shown
    explained = json.loads(run("predict", deployed, "--file", file, "--explain", "--json").output)["explanation"]
    assert (explained["method"], explained["of"]) == ("tree_shap", "margin")
    asked = np.array([[row[name] for name in COLUMNS] for row in ROWS], np.float32)
    margin = booster().predict(xgboost.DMatrix(asked, feature_names=COLUMNS), output_margin=True)
    for n, base in enumerate(explained["base"]):
        whole = base[0] + sum(explained["contributions"][name][n][0] for name in COLUMNS)
        assert whole == pytest.approx(float(margin[n]), abs=1e-5)
    assert "add up to the margin" in run("predict", deployed, "-f", "hour=1", "-f", "wind=2", "--explain").output
    file.write_text(json.dumps(ROWS[0]))
    assert "late 1.0.0" in run("predict", deployed, "--file", file, "--version", "1.0.0").output
    found = answer["prediction_ids"][0]
    assert "hour=1" in run("deploy", "prediction", deployed, found).output
    assert json.loads(run("deploy", "prediction", deployed, found, "--json").output)["prediction_id"] == found
    assert "other serves late 1.0.0" in run("deploy", "create", "other", "late", "1.0.0", "--environment", "dev").output
    assert "other is stopped." in run("deploy", "stop", "other", "--reason", "done").output
    assert "no deployment" in run("deploy", "show", "nothing", status=1).stderr


def test_a_deployment_is_scaled_and_exported_on_the_command_line(run: Any, deployed: str) -> None:
    told = run("deploy", "scale", deployed, "--min", 2, "--max", 8, "--concurrency", 4, "--reason", "rush").output
    assert f"{deployed} may have 2 to 8 replicas." in told
    status = run("deploy", "status", deployed).output
    assert "in the serving process" in status
    assert "2 to 8" in status
    assert json.loads(run("deploy", "status", deployed, "--json").output)["scaling"]["down_cooldown_s"] == 300
    refused = run("deploy", "scale", deployed, "--max", 8, status=1).stderr
    assert "scaling.target_concurrency" in refused
    made = list(yaml.safe_load_all(run("deploy", "export", deployed).output))
    kinds = ["Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"]
    assert [one["kind"] for one in made] == kinds
    (service,) = yaml.safe_load_all(run("deploy", "export", deployed, "--format", "kserve").output)
    assert service["spec"]["predictor"]["maxReplicas"] == 8
    told = run("deploy", "scale", deployed, "--gpus", 2).output
    assert f"{deployed} may have 1 to 1 replicas, each with 2 GPUs." in told
    (pod, *_) = yaml.safe_load_all(run("deploy", "export", deployed).output)
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "GPUs are asked for in Kubernetes only" in run("deploy", "status", deployed).output
    assert "scaling.gpus: is 17" in run("deploy", "scale", deployed, "--gpus", 17, status=1).stderr
    assert "kubernetes or kserve" in run("deploy", "export", deployed, "--format", "helm", status=1).stderr


def test_a_deployment_gets_a_cache_on_the_command_line(run: Any, alice: modelog.Client, deployed: str) -> None:
    assert f"{deployed} gives an answer again for 60 s." in run("deploy", "cache", deployed, "--ttl-s", 60).output
    before = alice.deployments.get(deployed).caching
    assert before is not None
    record = dict.fromkeys(COLUMNS, 0.25)
    first, again = (predict(alice, deployed, [record]) for _ in range(2))
    assert first["outputs"] == again["outputs"]
    assert first["prediction_ids"] != again["prediction_ids"]
    after = json.loads(run("deploy", "status", deployed, "--json").output)["caching"]
    assert (after["hits"], after["misses"]) == (before.hits + 1, before.misses + 1)
    assert f"60 s, {after['hits']} hits, {after['misses']} misses" in run("deploy", "status", deployed).output
    assert "ttl_s" in run("deploy", "cache", deployed, "--ttl-s", -1, status=1).stderr
    assert f"{deployed} computes every answer." in run("deploy", "cache", deployed, "--ttl-s", 0).output
    assert "off" in run("deploy", "status", deployed).output


def test_a_deployment_is_made_resilient_on_the_command_line(run: Any, alice: modelog.Client, deployed: str) -> None:
    told = run(
        "deploy", "resilience", deployed, "--breaker", "--open-s", 5, "--attempts", 3, "--retry-budget", 0.1,
        "--timeout-ms", 60_000, "--fallback-version", "1.0.0", "--default", "late=0.2",
    ).output  # fmt: skip
    for part in (
        f"When a version of {deployed} fails: a breaker opens for 5 s at 50 % of 20 or more requests in 30 s",
        "3 attempts, retries at most 10 % or 3 in 10 s, 60000 ms for an attempt, version 1.0.0 answers instead",
    ):
        assert part in " ".join(told.split())
    found = alice.deployments.get(deployed).resilience
    assert found is not None
    assert found.fallback is not None
    assert [(o.output, o.values) for o in found.fallback.outputs] == [("late", [0.2])]
    answer = predict(alice, deployed, [dict.fromkeys(COLUMNS, 0.25)])
    assert (answer["version"], answer["fallback"]) == ("1.0.0", "")
    shown = run("deploy", "status", deployed).output
    assert "breaker of 1.0.0" in shown
    assert "closed" in shown
    for arguments, refused in (
        ((), "give --breaker, --attempts"),
        (("--off", "--breaker"), "--off: is given with what would be on"),
        (("--default", "late"), "'late' must look like name=value"),
        (("--default", "late=x"), "'x' is not a number"),
        (("--attempts", 9), "resilience.retries.attempts: is 9; it must be from 2 to 5"),
        (("--default", "soon=1"), "'soon' is no output; there is late"),
        (("--fallback-version", "9.9.9"), "resilience.fallback.version"),
    ):
        assert refused in " ".join(run("deploy", "resilience", deployed, *arguments, status=1).stderr.split())
    assert "its error is the answer" in run("deploy", "resilience", deployed, "--off").output
    assert alice.deployments.get(deployed).resilience is None


def test_latencies_are_shown_on_the_command_line(run: Any, alice: modelog.Client, deployed: str) -> None:
    predict(alice, deployed, [dict.fromkeys(COLUMNS, 0.25)])
    shown = run("deploy", "latencies", deployed).output
    assert "p99 ms" in shown
    assert "1.0.0" in shown
    told = json.loads(run("deploy", "latencies", deployed, "--minutes", 5, "--json").output)
    assert told["minutes"] == 5
    assert sum(v["answered"] for v in [*told["versions"], *told["open"]]) > 0
    assert "minutes" in run("deploy", "latencies", deployed, "--minutes", 2000, status=1).stderr


def test_a_lightgbm_model_is_registered_deployed_and_asked_in_its_own_precision(
    run: Any, alice: modelog.Client, tmp_path: Path
) -> None:
    rows = np.random.default_rng(7).normal(size=(200, 2))
    data = lightgbm.Dataset(rows, (rows[:, 0] > 0).astype(int), feature_name=COLUMNS)
    trees = lightgbm.train({"objective": "binary", "num_threads": 1, "verbosity": -1}, data, 3)
    file = tmp_path / "model.lgb"
    trees.save_model(file)
    signature = Signature(
        inputs=[TensorSpec(name="features", datatype="FP64", shape=[-1, 2], columns=COLUMNS)],
        outputs=[TensorSpec(name="late", datatype="FP64", shape=[-1])],
    )
    alice.models.create("leaves")
    alice.models.register("leaves", alice.artifacts.upload(file), flavor="lightgbm", signature=signature)
    run("deploy", "create", "leaves", "leaves", "1.0.0", "--environment", "dev")
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows[:3].tolist()]
    assert [row[0] for row in predict(alice, "leaves", records)["outputs"]] == trees.predict(rows[:3]).tolist()


def test_texts_are_asked_logged_and_replayed(run: Any, alice: modelog.Client, platform: SmallPlatform) -> None:
    def answer(table: Any) -> dict[str, Any]:
        return {"label": [text[::-1] for text in table["note"]], "score": table["hour"] / 4}

    columns = [("note", "BYTES"), ("hour", "FP32")]
    signature = Signature(
        inputs=[TensorSpec(name=name, datatype=kind, shape=[-1, 1], columns=[name]) for name, kind in columns],
        outputs=[TensorSpec(name="label", datatype="BYTES"), TensorSpec(name="score", datatype="FP32")],
    )
    alice.models.create("notes")
    file = alice.artifacts.upload_bytes(cloudpickle.dumps(answer), "notes.pkl")
    alice.models.register("notes", file, flavor="python_function", signature=signature)
    with platform.client("bob", "admin") as bob:
        bob.models.approve("notes", "1.0.0", "read it")
    alice.models.promote("notes", "1.0.0", "staging")
    run("deploy", "create", "notes", "notes", "1.0.0", "--environment", "dev")
    found = predict(alice, "notes", [{"note": "late ✈", "hour": 1.0}, {"note": "", "hour": 2.0}])
    assert found["outputs"] == [["✈ etal", 0.25], ["", 0.5]]
    logged = alice.deployments.prediction("notes", found["prediction_ids"][0])
    assert (logged.texts, logged.features["hour"], logged.output_texts) == ({"note": "late ✈"}, 1.0, ["✈ etal", ""])
    shown = run("predict", "notes", "--text", "note=12", "-f", "hour=2").output
    assert "21" in shown
    assert "late ✈" in run("deploy", "prediction", "notes", found["prediction_ids"][0]).output
    replayed = alice.deployments.replay("notes", "")
    assert (replayed.whole.count, replayed.identical) == (3, True)
    refused = run("predict", "notes", "-f", "note=12", "-f", "hour=2", status=1)
    assert "12.0 is not allowed; it must be a text" in refused.stderr


def test_a_folder_is_uploaded_as_one_file(run: Any, alice: modelog.Client, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("1 2 3")
    stored = alice.artifacts.upload(tmp_path / "model")
    assert stored.path == "model.zip"
    assert stored.digest in run("artifact", "upload", tmp_path / "model").output


def test_an_ensemble_and_a_chain_are_composed_and_asked(run: Any, deployed: str, alice: modelog.Client) -> None:
    """The chain's second step takes the first one's answer as its column `late`."""
    alice.models.create("parts")
    rows = np.random.default_rng(8).normal(size=(200, 2)).astype(np.float32)
    data = xgboost.DMatrix(rows, rows[:, 1], feature_names=["late", "wind"])
    second = xgboost.train({"max_depth": 2, "nthread": 1}, data, 2)
    signature = Signature(
        inputs=[TensorSpec(name="features", datatype="FP32", shape=[-1, 2], columns=["late", "wind"])],
        outputs=[TensorSpec(name="delay", datatype="FP32", shape=[-1])],
    )
    file = alice.artifacts.upload_bytes(bytes(second.save_raw("ubj")), "second.ubj")
    alice.models.register("parts", file, flavor="xgboost", signature=signature)
    alice.models.create("composed")
    told = run("model", "compose", "composed", "ensemble", "-m", "late@1.0.0=3", "-m", "late@1.0.0").output
    assert "composed 1.0.0 is an ensemble of 2 versions" in told
    assert (
        "composed 1.1.0 is a chain of 2"
        in run("model", "compose", "composed", "chain", "-m", "late@1.0.0", "-m", "parts@1.0.0").output
    )
    assert "must be like" in run("model", "compose", "composed", "chain", "-m", "late", status=1).output
    asked = np.array([[row[name] for name in COLUMNS] for row in ROWS], np.float32)
    late = booster().predict(xgboost.DMatrix(asked, feature_names=COLUMNS))
    delay = second.predict(xgboost.DMatrix(np.column_stack([late, asked[:, 1]]), feature_names=["late", "wind"]))
    for version, expected in (("1.0.0", late), ("1.1.0", delay)):
        name = f"mixed-{version.replace('.', '-')}"
        run("deploy", "create", name, "composed", version, "--environment", "dev")
        answered = predict(alice, name, ROWS)["outputs"]
        assert [row[0] for row in answered] == pytest.approx(expected.tolist(), rel=1e-6)


def test_a_monitor_watches_a_deployment(run: Any, deployed: str, alice: modelog.Client) -> None:
    frame = pl.DataFrame({"hour": [0.1, 0.2, 0.7] * 40, "wind": [1.0, 2.0, 3.0] * 40, "label": [0, 1, 0] * 40})
    reference = alice.datasets.register("reference", frame)
    made = alice.monitors.create(
        "watch",
        deployed,
        [reference.ref],
        label_column="label",
        reference_auc=0.7,
        drift={"ks_distance": 0.2},
        quality={"auc_loss": 0.05},
        channels=[AlertChannel(kind="CHANNEL_KIND_WEBHOOK", url="https://webhook.invalid/")],
    )
    assert (made.name, made.window) == ("watch", "WINDOW_UNIT_MONTH")
    assert alice.monitors.get("watch").reference == [reference.ref]
    assert "watch" in run("monitor", "list").output
    assert json.loads(run("monitor", "list", "--json").output)[0]["deployment"] == deployed
    assert "no window has closed yet" in run("monitor", "windows", "watch").output
    assert json.loads(run("monitor", "windows", "watch", "--json").output) == []
    assert "no alerts" in run("monitor", "alerts").output
    assert json.loads(run("monitor", "alerts", "watch", "--json").output) == []
    assert "no challenger yet" in run("monitor", "retrainings").output
    assert json.loads(run("monitor", "retrainings", "--json").output) == []
    assert alice.monitors.series("watch", "auc") == []
    job = alice.jobs.spec("again", "train:main", register="late")
    policy = alice.monitors.create_policy("retrain", "watch", job, "reference", canary_percent=10, canary_rows=100)
    assert [p.name for p in alice.monitors.policies()] == [policy.name] == ["retrain"]
    assert alice.monitors.retrainings("retrain") == []


def test_a_job_is_queued_shown_and_cancelled(run: Any, alice: modelog.Client, tmp_path: Path) -> None:
    """The small platform has no workers, so the job waits until it is cancelled."""
    data = alice.datasets.register("job-data", pl.DataFrame({"a": [1, 2]}))
    (tmp_path / "train.py").write_text("def main(job): ...\n")
    queued = run(
        *("job", "submit", "by-hand", "train:main", "--source", tmp_path),
        *("--dataset", "job-data=1", "--param", "depth=3", "--param", "kind=fast", "--register", "by-hand"),
    )
    job_id = queued.output.split()[1]
    found = alice.jobs.get(job_id)
    assert found.spec["parameters"] == {"depth": 3, "kind": "fast"}
    assert found.spec["datasets"] == [{"dataset": "job-data", "version": 1}]
    assert found.spec["register"]["model"] == "by-hand"
    assert job_id in run("job", "list").output
    assert json.loads(run("job", "list", "--json", "--limit", "1").output)[0]["id"] == job_id
    assert "queued" in run("job", "show", job_id).output
    assert json.loads(run("job", "show", job_id, "--json").output)["status"] == "JOB_STATUS_QUEUED"
    assert run("job", "logs", job_id).output.strip() == ""
    with pytest.raises(TimeoutError, match="JOB_STATUS_QUEUED after 0 s"):
        alice.jobs.wait(job_id, timeout_s=0)
    assert f"Job {job_id} is cancelled." in run("job", "cancel", job_id, "--reason", "no need").output
    seen: list[str] = []
    with pytest.raises(JobFailed, match="JOB_STATUS_CANCELLED"):
        alice.jobs.wait(job_id, progress=lambda job: seen.append(job.status))
    assert seen == ["JOB_STATUS_CANCELLED"]
    assert data.ref == DatasetRef(dataset="job-data", version=1)


def wait_for_job(client: modelog.Client, name: str, timeout_s: float = 150) -> Job:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for job in client.jobs.list():
            if job.spec["name"] == name:
                return job
    raise TimeoutError(f"job {name} was not queued within {timeout_s:g} s")


def test_following_a_job_ends_with_it(run: Any, alice: modelog.Client, tmp_path: Path, platform: SmallPlatform) -> None:
    """`--follow` waits for the end, which here is somebody's cancel."""
    (tmp_path / "train.py").write_text("def main(job): ...\n")
    results: list[Result] = []

    def follow() -> None:
        results.append(run("job", "submit", "followed", "train:main", "--source", tmp_path, "--follow", status=1))

    following = threading.Thread(target=follow)
    following.start()
    try:
        job = wait_for_job(alice, "followed")
        alice.jobs.cancel(job.id)
    finally:
        following.join(150)
    assert "JOB_STATUS_CANCELLED" in results[0].stderr
    assert alice.jobs.logs(job.id, follow=True) == ""


def test_what_needs_the_graph_says_that_it_is_away(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelog.transport.RETRIES", 0)
    assert "MODELOG_GRAPH_URI" in run("lineage", "trace", "Model:late", status=1).stderr
    assert "no prediction 'p'" in run("lineage", "prediction", "late", "p", status=1).stderr


def batch_input(folder: Path, rows: int = 60) -> Path:
    """Rows with a name of their own, some values missing."""
    lines = [f"r{n},{n / 100 - 1},{'' if n % 9 == 0 else 0.5}" for n in range(rows)]
    source = folder / "input.csv"
    source.write_text("\n".join(["name,hour,wind", *lines, ""]))
    return source


def test_a_batch_has_one_output_row_for_each_row_also_after_kill_9(run: Any, deployed: str, tmp_path: Path) -> None:
    source, output = batch_input(tmp_path), tmp_path / "scored.csv"
    parts = tmp_path / "scored.csv.parts"
    command = [sys.executable, "-m", "modelog.cli.main", "batch", deployed, str(source), str(output)]
    killed = subprocess.Popen([*command, "--rows-at-once", "1"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 150
        while not list(parts.glob("part-*")):
            assert killed.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline, "no part was written in 150 s"
            time.sleep(0.01)
    finally:
        killed.kill()
        killed.wait()
    assert not output.exists()
    before = {part.name: part.stat().st_mtime_ns for part in parts.glob("part-*")}
    assert 0 < len(before) < 60
    other = run("batch", deployed, source, output, "--rows-at-once", "7", status=1)
    assert "of a batch with another rows_at_once (1, now 7)" in other.stderr
    assert "60 rows" in run("batch", deployed, source, output, "--rows-at-once", "1").output
    assert not parts.exists()
    found = pl.read_csv(output)
    assert found["name"].to_list() == [f"r{n}" for n in range(60)]
    rows = np.array([[n / 100 - 1, np.nan if n % 9 == 0 else 0.5] for n in range(60)], np.float32)
    assert np.allclose(found["prediction"].to_numpy(), booster().inplace_predict(rows), atol=1e-6)
    assert set(found["model_version"].to_list()) == {"1.0.0"}
    assert "scored.csv exists already" in run("batch", deployed, source, output, status=1).stderr


def test_batches_in_parquet_and_what_is_refused(run: Any, deployed: str, tmp_path: Path) -> None:
    source, output = tmp_path / "input.parquet", tmp_path / "scored.parquet"
    pl.read_csv(batch_input(tmp_path)).write_parquet(source)
    assert "60 rows" in run("batch", f"{deployed}:1.0.0", source, output, "--rows-at-once", "25").output
    found = pl.read_parquet(output)
    assert found.columns == ["name", "hour", "wind", "prediction", "model_version"]
    assert found["name"].to_list() == [f"r{n}" for n in range(60)]
    bad = tmp_path / "bad.csv"
    bad.write_text("hour,wind\n1,2\n1,x\n")
    assert "row 1, column 'wind': 'x' is no number" in run("batch", deployed, bad, tmp_path / "o.csv", status=1).stderr
    bad.write_text("hour\n1\n")
    said = run("batch", deployed, bad, tmp_path / "p.csv", status=1).stderr
    assert "bad.csv has no column 'wind'; the model takes hour, wind, there are hour" in said
    assert "must end in .csv or .parquet" in run("batch", deployed, bad, tmp_path / "o.txt", status=1).stderr
    assert "there is no such file" in run("batch", deployed, tmp_path / "no.csv", tmp_path / "q.csv", status=1).stderr


def test_batches_of_datasets_and_queries_into_folders(run: Any, deployed: str, alice: Any, tmp_path: Path) -> None:
    rows = pl.read_csv(batch_input(tmp_path))
    alice.datasets.register("june", rows)
    output = tmp_path / "scored"
    assert "60 rows" in run("batch", deployed, "june@1", output, "--rows-at-once", "25").output
    parts = sorted(output.glob("*.parquet"))
    assert [part.name for part in parts] == [f"part-{n:08d}.parquet" for n in range(3)]
    assert pl.read_parquet(parts)["name"].to_list() == rows["name"].to_list()
    # Again, it is there.
    before = [part.stat().st_mtime_ns for part in parts]
    assert "60 rows" in run("batch", deployed, "june@1", output, "--rows-at-once", "25").output
    assert [part.stat().st_mtime_ns for part in parts] == before
    few = tmp_path / "few.csv"
    query = "select * from june where hour < -0.9 order by name desc"
    assert "10 rows" in run("batch", deployed, "june@1", few, "--query", query).output
    assert pl.read_csv(few)["name"].to_list() == [f"r{n}" for n in reversed(range(10))]
    said = run("batch", deployed, "june@1", tmp_path / "no", "--query", "select nothing from input", status=1).stderr
    assert "query: Binder Error" in said
    assert "no version 7 of a dataset 'june'" in run("batch", deployed, "june@7", tmp_path / "no", status=1).stderr


def test_a_batch_leaves_rows_without_an_answer_if_it_is_told_to(run: Any, deployed: str, tmp_path: Path) -> None:
    source, output = tmp_path / "bad.csv", tmp_path / "scored.csv"
    source.write_text("hour,wind\n1,2\n1,x\n,3\n")
    run("batch", deployed, source, output, "--on-error", "null")
    found = pl.read_csv(output)
    assert found["prediction"].is_null().to_list() == [False, True, False]
    assert found["error"].to_list() == [None, "column 'wind': 'x' is no number", None]


def test_batches_as_jobs_say_what_they_cannot_be(run: Any, deployed: str, alice: Any, tmp_path: Path) -> None:
    def said(*more: object) -> str:
        return str(run("batch", *more, status=1).stderr)

    job = ("june.csv", tmp_path / "out", "--job", "--no-wait")
    assert "there is no deployment 'nobody'" in said("nobody", *job)
    assert "'nobody'" in said("nobody:1.0.0", *job)
    assert "a version without a deployment is loaded by a job; add --job" in said("late", *job[:2], "--model")
    assert "output: is 'scored.csv'; allowed: a folder, or s3://" in said("late", "june.csv", "scored.csv", "--job")
    assert "on_error: is 'skip'; allowed: fail, null" in said("late", *job, "--on-error", "skip")
    assert "input: is -, which stands for none" in said("late", "-", tmp_path / "out", "--job")
    assert "a request takes 10000 rows at most" in said("late", *job[:2], "--rows-at-once", "20000")
    # A deployment of that name is of another model than the model of that name.
    alice.models.create("twice")
    alice.deployments.create("twice", "late", "1.0.0", "dev")
    assert "'twice' is a deployment of late, and a model too; say which: with --model" in said("twice:1.0.0", *job)
    assert "Job " in run("batch", "twice", *job).output
    assert alice.batches.version_of("twice") == ("late", "1.0.0")
    assert alice.batches.version_of("twice:1.0.0", model=True) == ("twice", "1.0.0")
    (queued,) = alice.batches.list()
    assert queued.spec["tags"]["batch.model"] == "late"
    alice.jobs.cancel(queued.id)
    alice.deployments.stop("twice")
