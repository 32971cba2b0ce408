"""The command line against running services: tables, JSON, errors a person can act on, completion."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import modelog
import polars as pl
import pytest
from modelog.cli.main import app
from modelog.types import Signature, TensorSpec
from typer.testing import CliRunner, Result

runner = CliRunner()
SIGNATURE = Signature(
    inputs=[TensorSpec(name="input", datatype="FP32", shape=[-1, 1])],
    outputs=[TensorSpec(name="output", datatype="FP32", shape=[-1])],
)


@pytest.fixture
def run(platform: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Runs a command as alice, who may do everything but approve her own."""
    monkeypatch.setenv("MODELOG_PROFILE", str(tmp_path / "profile.json"))
    monkeypatch.setenv("MODELOG_URL", platform.url)  # type: ignore[attr-defined]
    monkeypatch.setenv("MODELOG_TOKEN", platform.token("alice", "admin"))  # type: ignore[attr-defined]
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, status: int = 0) -> Result:
        result = runner.invoke(app, [str(a) for a in arguments])
        assert result.exit_code == status, result.output
        return result

    return run


def test_models(run, alice: modelog.Client, bob: modelog.Client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("model", "create", "cli-model", "--description", "x")
    artifact = alice.artifacts.upload_bytes(b"m", "model.ubj")
    alice.models.register("cli-model", artifact, flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.71})
    refused = run("model", "approve", "cli-model", "1.0.0", "-m", "mine", status=1)
    assert "error:" in refused.stderr
    assert "alice" in refused.stderr
    bob.models.approve("cli-model", "1.0.0", "checked")
    assert "staging" in run("model", "promote", "cli-model", "1.0.0", "staging").output
    assert "production" in run("model", "promote", "cli-model", "1.0.0", "production").output
    assert "cli-model" in run("model", "list").output
    assert "bob" in run("model", "show", "cli-model").output
    assert "approved by bob: checked" in run("model", "show", "cli-model", "1.0.0").output
    found = json.loads(run("model", "show", "cli-model", "1.0.0", "--json").output)
    assert found["metrics"] == {"auc": 0.71}
    assert json.loads(run("model", "show", "cli-model", "--json").output)["name"] == "cli-model"
    assert json.loads(run("model", "list", "--json", "--as-of", "1").output) == []
    assert "model.ubj" in run("model", "download", "cli-model", "1.0.0", "--folder", tmp_path).output
    run("model", "reject", "cli-model", "1.0.0", "-m", "mine", status=1)
    run("model", "alias", "cli-model", "champion", "1.0.0")
    assert "champion is cli-model 1.0.0" in run("model", "alias", "cli-model", "champion").output
    assert "checked=yes" in run("model", "tag", "cli-model", "1.0.0", "--set", "checked=yes").output
    assert "team=air" in run("model", "tag", "cli-model", "--set", "team=air").output
    run("model", "describe", "cli-model", "the first", "--version", "1.0.0")
    run("model", "describe", "cli-model", "late or not")
    assert "the first" in run("model", "show", "cli-model", "1.0.0").output
    searched = run("model", "search", "--name", "cli%", "--tag", "checked=yes", "--alias", "champion", "--json").output
    assert [v["version"] for v in json.loads(searched)] == ["1.0.0"]
    counted = run("model", "facets", "--name", "cli%", "--flavor", "xgboost").output
    assert all(word in counted for word in ("production", "xgboost"))
    facets = json.loads(run("model", "facets", "--name", "cli%", "--json").output)["facets"]
    assert {"key": "", "value": "production", "models": 1} in facets[2]["counts"]
    assert "no model is like that" in run("model", "facets", "--name", "none%").output
    assert "production" in run("model", "facets", "--text", "cli model late").output
    assert "no model is like that" in run("model", "facets", "--text", "cli model early").output
    run("model", "alias", "cli-model", "champion", "--delete")
    assert "no version is like that" in run("model", "search", "--alias", "champion", "--stage", "production").output
    told = run("model", "history", "cli-model", "1.0.0").output
    assert all(word in told for word in ("staging to production", "champion", "checked=yes"))
    assert "in production" in run("model", "delete", "cli-model", "1.0.0", status=1).stderr
    rules = tmp_path / "rules.json"
    rules.write_text('{"stages": [{"stage": "STAGE_PRODUCTION", "reviewers": 2}]}')
    replayed = run("model", "policy", "--replay", rules).output
    assert "needs 2 approvals by people other than alice" in replayed
    assert "would have been refused." in replayed
    assert json.loads(run("model", "policy").output)["version"] == 0
    assert (
        "Version 1 of the promotion policy is in force" in run("model", "policy", "--set", rules, "-m", "eyes").output
    )
    rules.write_text("{}")
    assert "Version 2 of the promotion policy is in force" in run("model", "policy", "--set", rules).output
    rules.write_text("{")
    assert "rules.json" in run("model", "policy", "--replay", rules, status=1).stderr
    run("model", "create", "cli-once")
    assert "cli-once is called cli-gone now" in run("model", "rename", "cli-once", "cli-gone").output
    assert "there is no model 'cli-once'" in run("model", "show", "cli-once", status=1).stderr
    assert "is deleted" in run("model", "delete", "cli-gone", "-m", "no longer").output
    assert json.loads(run("model", "history", "cli-gone", "--json").output)[2]["reason"] == "no longer"
    assert "as_of" in run("model", "show", "cli-model", "--as-of", "soon", status=1).stderr


def test_datasets_and_runs(run, alice: modelog.Client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "data.parquet"
    pl.DataFrame({"a": [1, 2]}).write_parquet(file)
    assert "2 rows" in run("dataset", "register", "cli-data", file, "--label", "first").output
    assert "first" in run("dataset", "list", "cli-data").output
    assert "cli-data" in run("dataset", "list").output
    assert json.loads(run("dataset", "list", "cli-data", "--json").output)[0]["rows"] == 2
    assert json.loads(run("dataset", "list", "--json").output)
    assert "cli-data-1.parquet" in run("dataset", "download", "cli-data", "1", "--folder", tmp_path).output
    alice.runs.experiment("cli-runs")
    started = alice.runs.start("cli-runs", parameters={"depth": 3})
    assert started.id in run("run", "list", "cli-runs").output
    assert "depth" in run("run", "show", started.id).output
    assert json.loads(run("run", "show", started.id, "--json").output)["id"] == started.id
    assert json.loads(run("run", "list", "--json").output)


def test_events_and_audit(run, alice: modelog.Client, tmp_path: Path, platform: object) -> None:  # type: ignore[no-untyped-def]
    alice.models.create("cli-audited")
    assert "registry.ModelRegistered" in run("events", "list", "--newest", "--type", "registry.ModelRegistered").output
    assert json.loads(run("events", "show", "1").output)["position"] == 1
    assert "there is no event at position 999999" in run("events", "show", "999999", status=1).stderr
    assert json.loads(run("events", "list", "--json", "--limit", "1").output)[0]["position"] == 1
    assert "alice registered the model cli-audited" in run("events", "diff", "0").output
    assert json.loads(run("events", "diff", "0", "1", "--json").output)["events"] == 1
    assert "in the future" in run("events", "diff", "999999", status=1).stderr
    assert "intact" in run("audit", "verify").output
    assert json.loads(run("audit", "verify", "--json").output)["intact"]
    note, key = tmp_path / "checkpoint.txt", tmp_path / "audit.pub"
    run("audit", "checkpoint", "--out", note, "--key-out", key)
    assert json.loads(run("audit", "checkpoint", "--json").output)["note"]
    store = platform.folder / "data" / "events.db"  # type: ignore[attr-defined]
    run("audit", "verify", "--store", store, "--checkpoint", note, "--key", key)
    assert json.loads(run("audit", "verify", "--store", store, "--checkpoint", note, "--key", key, "--json").output)[
        "ok"
    ]
    assert "--checkpoint and --key" in run("audit", "verify", "--store", store, status=1).stderr
    assert json.loads(run("audit", "proof", "1").output)
    run("audit", "proof", "1", "--out", tmp_path / "proof.json")
    assert "PROVEN: position 1 of modelog/" in run("audit", "check", tmp_path / "proof.json", "--key", key).output
    bundle = (tmp_path / "proof.json").read_text()
    (tmp_path / "proof.json").write_text(bundle.replace('"schema": 1', '"schema": 2'))
    run("audit", "check", tmp_path / "proof.json", "--key", key, status=1)
    alice.models.create("cli-audited-later")
    assert "begins with the" in run("audit", "extends", note, "--key", key).output
    note.write_text(note.read_text().replace("modelog/", "modelog-", 1))
    run("audit", "extends", note, "--key", key, status=1)


def test_an_export_over_the_api_is_what_the_store_holds(run, tmp_path: Path, platform: object) -> None:  # type: ignore[no-untyped-def]
    over_api, offline = tmp_path / "api.jsonl", tmp_path / "store.jsonl.gz"
    note, key = tmp_path / "checkpoint.txt", tmp_path / "audit.pub"
    run("audit", "checkpoint", "--out", note, "--key-out", key)
    run("events", "export", over_api)
    store = platform.folder / "data" / "events.db"  # type: ignore[attr-defined]
    until = len(over_api.read_bytes().splitlines())
    run("events", "export", offline, "--store", f"sqlite:///{store}", "--until", until)
    assert gzip.decompress(offline.read_bytes()) == over_api.read_bytes()
    assert "VERIFIED" in run("audit", "verify", "--store", over_api, "--checkpoint", note, "--key", key).output
    assert "exists already" in run("events", "export", over_api, status=1).stderr
    assert "is no part of it" in run("events", "export", tmp_path / "x", "--from", "999999", status=1).stderr


def test_backups(run, tmp_path: Path, platform: object) -> None:  # type: ignore[no-untyped-def]
    source, backups, restored = platform.folder, tmp_path / "backups", tmp_path / "restored"  # type: ignore[attr-defined]
    note, key = tmp_path / "checkpoint.txt", tmp_path / "audit.pub"
    run("audit", "checkpoint", "--out", note, "--key-out", key)
    made = run("backup", "create", backups, "--data-dir", source).output
    assert "signed" in made
    assert "VERIFIED" in run("backup", "verify", backups, "--key", key).output
    assert "restored up to position 1" in run(
        "backup", "restore", backups, "--data-dir", restored, "--until", "1", "--key", key
    ).output.replace("\n", " ")
    assert (restored / "data" / "events.db").is_file()
    assert "is not empty" in run("backup", "restore", backups, "--data-dir", restored, status=1).stderr
    assert "no secrets" in run("backup", "create", backups, "--data-dir", source, "--secrets", status=1).stderr
    nothing = run("backup", "create", backups, "--data-dir", tmp_path / "nothing", status=1).stderr
    assert "has no log of its own; give the address of its log with --store" in nothing.replace("\n", " ")
    next(backups.glob("*/checkpoints.jsonl")).write_text("")
    assert "checkpoints.jsonl was altered" in run("backup", "verify", backups, status=1).stderr.replace("\n", " ")


def test_bisect_finds_the_event(run, alice: modelog.Client) -> None:  # type: ignore[no-untyped-def]
    alice.models.create("cli-before")
    before = alice.audit.head()
    for n in range(5):
        alice.models.create(f"cli-other-{n}")
    culprit = alice.models.create("cli-culprit").position
    last = alice.models.create("cli-after").position
    absent = f"! {sys.executable} -m modelog.cli.main model show cli-culprit"
    found = run("bisect", "--good", before, "--", "sh", "-c", absent)
    assert f"fails since position {culprit}" in found.output
    assert "alice registered the model cli-culprit" in found.output
    assert "about 3 more to check" in found.stderr
    exact = json.loads(run("bisect", "--good", before, "--json", "--", "sh", "-c", absent).stdout)
    assert (exact["bad"], exact["exact"], exact["event"]["type"]) == (culprit, True, "registry.ModelRegistered")
    unsure = run("bisect", "--good", before, "--", "sh", "-c", skipping(before, last), status=2)
    assert f"positions {before + 1} to {last}" in unsure.output
    assert "was said to be good" in run("bisect", "--good", before, "--", "false", status=1).stderr
    assert "cannot be run" in run("bisect", "--good", before, "--", "/no/such/check", status=1).stderr
    assert "stops the search" in run("bisect", "--good", before, "--", "sh", "-c", "exit 130", status=1).stderr


def skipping(good: int, bad: int) -> str:
    """A check that can judge the two ends only."""
    return f"case $MODELOG_AS_OF in {good}) exit 0;; {bad}) exit 1;; *) exit 125;; esac"


def test_users_tokens_and_login(run, platform: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    assert "cli-user" in run("user", "add", "cli-user", "--role", "reviewer").output
    assert "cli-user" in run("user", "list").output
    assert json.loads(run("user", "list", "--json").output)
    token = run("token", "cli-user", "--remember").output.strip()
    assert "reviewer" in run("login", platform.url, "--user", "cli", "--token", token).output  # type: ignore[attr-defined]
    monkeypatch.delenv("MODELOG_TOKEN")
    assert run("token").output.strip() == token
    monkeypatch.setenv("MODELOG_USER", "cli-user")
    run("model", "create", "not-allowed", status=1)


def test_status_tells_what_is_away(run) -> None:  # type: ignore[no-untyped-def]
    """The small platform has no graph, so status tells of trouble: exit status 1."""
    shown = run("status", status=1)
    assert "registry" in shown.output
    assert "MODELOG_GRAPH_URI" in shown.output
    found = {s["service"]: s["health"] for s in json.loads(run("status", "--json", status=1).output)}
    assert (found["registry"], found["gateway"]) == ("serving", "serving")
    assert "registry" in run("rebuild", "registry").output
    assert json.loads(run("rebuild", "registry", "--json").output)[0]["service"] == "registry"


def test_no_platform_and_no_token_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELOG_URL", "MODELOG_TOKEN", "MODELOG_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELOG_PROFILE", str(tmp_path / "profile.json"))
    assert "modelog up" in runner.invoke(app, ["status"]).stderr
    assert "no token" in runner.invoke(app, ["token"]).stderr
    monkeypatch.setenv("MODELOG_URL", "http://127.0.0.1:9")
    assert "modelog login" in runner.invoke(app, ["status"]).stderr
    (tmp_path / "profile.json").write_text("{")
    assert "is not JSON" in runner.invoke(app, ["status"]).stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["deploy", "traffic", "x", "1.0.0"], "must look like name=value"),
        (["deploy", "traffic", "x", "1.0.0=many"], "is not a number"),
        (["job", "submit", "x", "a:b", "--dataset", "flights"], "must look like name=value"),
        (["predict", "x", "--feature", "a=b"], "is not a number"),
        (["predict", "x", "--file", "/nowhere.json"], "cannot be read as JSON"),
    ],
)
def test_wrong_arguments_are_named(run, arguments: list[str], text: str) -> None:  # type: ignore[no-untyped-def]
    assert text in run(*arguments, status=1).stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "group",
    [
        [],
        *(
            [g]
            for g in (
                "model",
                "run",
                "dataset",
                "job",
                "deploy",
                "monitor",
                "events",
                "lineage",
                "audit",
                "up",
                "down",
                "bisect",
            )
        ),
    ],
)
def test_help(group: list[str]) -> None:
    assert "Usage" in runner.invoke(app, [*group, "--help"]).output


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).output.startswith("modelog 0.")


def test_a_users_personal_data_is_shown_and_erased(run) -> None:  # type: ignore[no-untyped-def]
    added = run("user", "add", "erika", "--full-name", "Erika Example", "--email", "erika@example.org")
    assert "erika@example.org" in added.output
    assert "Erika M" in run("user", "describe", "erika", "--full-name", "Erika M").output
    assert "Erika M" in run("user", "list").output
    assert "data keys were wrapped" in run("keys", "rotate").output
    assert "Missing option '--reason'" in run("user", "erase", "erika", "--yes", status=2).output
    # Nobody says yes here.
    run("user", "erase", "erika", "--reason", "ticket 4711", status=1)
    assert "Erika M" in run("user", "list").output
    erased = json.loads(run("user", "erase", "erika", "--reason", "ticket 4711", "--yes", "--json").output)[0]
    assert (erased["full_name"], erased["email"], erased["roles"]) == ("[erased]", "", [])
    assert "Erika" not in run("user", "list").output
    assert "user/erika" in run("keys", "erased").output
    assert "user/erika" in [e["subject"] for e in json.loads(run("keys", "erased", "--json").output)]


def test_a_subject_of_predictions_is_erased(run) -> None:  # type: ignore[no-untyped-def]
    told = "subject", "erase", "customer-17", "--reason", "ticket 4711"
    # Nobody says yes here.
    run(*told, status=1)
    assert "subject/customer-17" not in run("keys", "erased").output
    assert "subject/customer-17" in run(*told, "--yes").output
    (erased,) = json.loads(run(*told, "--yes", "--json").output)
    assert (erased["subject"], erased["reason"]) == ("subject/customer-17", "ticket 4711")
    assert "subject/customer-17" in run("keys", "erased").output
