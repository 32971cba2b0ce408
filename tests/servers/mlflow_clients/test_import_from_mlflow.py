"""`modelog import mlflow` moves what a real MLflow server holds; MLflow's own client finds the same on both."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import modelog
import pytest
from mlflow_server import Between, MlflowServer
from modelog.moving import Source
from small_platform import SmallPlatform

# What has no place here, and what is elsewhere.
EXPERIMENT = "späte Flüge/северный 'x' \"q\" %20 #?"
LEFT = {
    ("prompts", "prompt"),
    ("artifacts", "version späte Flüge 4"),
    ("traces", EXPERIMENT),
    ("assessments", f"{EXPERIMENT}: correct"),
}
KILLS_APART = 30
PATIENCE_S = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    mlflow = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    mlflow.start()
    yield mlflow
    mlflow.stop()


@pytest.fixture(scope="module")
def running(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server is filled; the id of a run that can be told more."""
    return server.client("fill", tmp_path_factory.mktemp("filled"), server.url)


class Importer:
    """The command line, as alice of a tenant; bob may approve."""

    def __init__(self, platform: SmallPlatform, folder: Path, tenant: str) -> None:
        self.platform, self.folder, self.tenant = platform, folder, tenant
        self.token = platform.token("alice", "developer", tenant=tenant)
        users = {"alice": self.token, "bob": platform.token("bob", "reviewer", tenant=tenant)}
        profile = folder / "profile.json"
        profile.write_text(json.dumps({"url": platform.url, "users": users, "user": "alice"}))
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "MODELOG_"))}
        self._environment = {**plain, "MODELOG_PROFILE": str(profile)}

    def start(self, url: str, *options: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "modelog.cli.main", "import", "mlflow", url, *options],
            env={**self._environment, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, url: str, *options: str, status: int = 3) -> tuple[dict[str, Any], set[tuple[str, str]]]:
        """The counts, and kind and name of what was not moved."""
        process = self.start(url, "--json", *options)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == status, f"exit status {process.returncode}:\n{out}\n{err}"
        said = json.loads(out)
        return said["counts"], {(each["kind"], each["name"]) for each in said["not_moved"]}

    def client(self) -> modelog.Client:
        return modelog.Client(self.platform.url, self.token)


@pytest.fixture
def importer(platform: SmallPlatform, tmp_path: Path, request: pytest.FixtureRequest) -> Importer:
    """Of a tenant of the test's own."""
    return Importer(platform, tmp_path, f"t{abs(hash(request.node.name)) % 10**9}")


def told(server: MlflowServer, folder: Path, url: str, token: str = "") -> Any:
    return json.loads(server.client("tell", folder, url, token))


def test_mlflows_client_finds_here_what_it_finds_there_though_the_import_was_killed_again_and_again(
    server: MlflowServer, running: str, importer: Importer, tmp_path: Path
) -> None:
    kills = 0
    for most in range(10, 10_000, KILLS_APART):
        between = Between(server.url, most)
        process = importer.start(between.url, "--reviewer", "bob")
        while process.poll() is None and not between.stuck.wait(0.05):
            pass
        if between.stuck.is_set():
            process.kill()
            kills += 1
        process.communicate(timeout=PATIENCE_S)
        between.stop()
        if not between.stuck.is_set():
            break
    assert kills >= 2

    there = told(server, tmp_path, server.url)
    assert len(there["experiments"][EXPERIMENT]["files"]) == 2
    assert len(there["experiments"]) == 5
    assert told(server, tmp_path, importer.platform.url, importer.token) == there

    with importer.client() as client:
        model = client.models.get("späte Flüge")
        assert model.created_at is not None
        assert model.recorded_at is not None
        assert model.created_at < model.recorded_at


def test_what_is_moved_again_stays_as_it_is(server: MlflowServer, running: str, importer: Importer) -> None:
    counts, left = importer.run(server.url, "--reviewer", "bob")
    assert left == LEFT
    assert counts["runs"] == {"moved": 7, "known": 0}
    assert counts["versions"] == {"moved": 3, "known": 0}
    with importer.client() as client:
        before = [run.position for run in client.runs.search(view="all")], client.models.list()
    again, left = importer.run(server.url, "--reviewer", "bob")
    assert left == LEFT
    assert {kind: count["moved"] for kind, count in again.items()} == dict.fromkeys(counts, 0)
    with importer.client() as client:
        assert ([run.position for run in client.runs.search(view="all")], client.models.list()) == before


def test_what_was_in_production_waits_for_an_approval(server: MlflowServer, running: str, importer: Importer) -> None:
    _, left = importer.run(server.url)
    assert left == LEFT | {("stages", "späte Flüge 1 in Production")}
    with importer.client() as client:
        assert client.models.version("späte Flüge", "1.0.0").stage == "STAGE_STAGING"
    assert importer.run(server.url, "--reviewer", "bob")[1] == LEFT
    with importer.client() as client:
        version = client.models.version("späte Flüge", "1.0.0")
        assert (version.stage, version.reviews[-1].reviewer) == ("STAGE_PRODUCTION", "bob")


def test_experiments_and_models_are_chosen_and_a_dry_run_writes_nothing(
    server: MlflowServer, running: str, importer: Importer
) -> None:
    counts, _ = importer.run(server.url, "--dry-run")
    assert counts["runs"]["moved"] == 7
    with importer.client() as client:
        assert client.runs.experiments() == []
        assert client.models.list() == []
    counts, _ = importer.run(server.url, "-e", "gone", "--no-models")
    assert (counts["experiments"]["moved"], counts["runs"]["moved"]) == (1, 1)
    # A version whose run was not moved has its files, though MLflow's client does not find them here.
    counts, left = importer.run(server.url, "--no-experiments", "-m", "späte Flüge", "--reviewer", "bob")
    assert (counts["registered models"]["moved"], counts["versions"]["moved"]) == (1, 3)
    assert {("sources", "späte Flüge 1"), ("sources", "späte Flüge 3")} <= left
    with importer.client() as client:
        assert "MLmodel" in {file.path for file in client.models.version("späte Flüge", "1.0.0").artifacts}


def test_what_a_run_got_since_comes_when_it_is_asked_for_again(
    server: MlflowServer, running: str, importer: Importer
) -> None:
    importer.run(server.url, "--no-models")
    body = {"run_id": running, "key": f"since {importer.tenant}", "value": "then"}
    httpx.post(f"{server.url}/api/2.0/mlflow/runs/log-parameter", json=body, timeout=150).raise_for_status()
    counts, _ = importer.run(server.url, "--no-models")
    assert counts["runs"] == {"moved": 1, "known": 6}
    assert counts["metric points"]["moved"] == 0
    with importer.client() as client:
        run = next(r for r in client.runs.search(view="all") if r.name == "many points")
        assert run.parameters is not None
        assert run.parameters[f"since {importer.tenant}"] == "then"
        assert run.status == "RUN_STATUS_FAILED"


def test_a_file_that_was_changed_in_a_run_that_was_not_comes_when_it_is_asked_for_again(
    server: MlflowServer, running: str, importer: Importer
) -> None:
    def there(name: str, content: bytes) -> None:
        path = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{running}/artifacts/{name}"
        httpx.put(path, content=content, timeout=150).raise_for_status()

    def here(name: str) -> bytes:
        with importer.client() as client:
            run = next(r for r in client.runs.search(view="all") if r.name == "many points")
            assert run.status == "RUN_STATUS_FAILED"
            file = next(file for file in run.artifacts if file.path == name)
            return client.artifacts.download(file.digest, importer.folder / file.digest).read_bytes()

    about = httpx.get(f"{server.url}/api/2.0/mlflow/runs/get", params={"run_id": running}, timeout=150).json()
    experiment = about["run"]["info"]["experiment_id"]
    there("grown", b"short")
    there("same size", b"before")
    importer.run(server.url, "--no-models")
    there("grown", b"longer")
    there("same size", b"after!")
    counts, _ = importer.run(server.url, "--no-models")
    assert (counts["runs"]["moved"], counts["artifacts"]["moved"]) == (1, 1)
    assert (here("grown"), here("same size")) == (b"longer", b"before")
    counts, _ = importer.run(server.url, "--no-models", "--compare-files")
    assert (counts["runs"]["moved"], counts["artifacts"]["moved"]) == (1, 1)
    assert here("same size") == b"after!"
    counts, _ = importer.run(server.url, "--no-models", "--compare-files", "--jobs", "1")
    assert {kind: count["moved"] for kind, count in counts.items()} == dict.fromkeys(counts, 0)


def test_credentials_are_those_of_mlflows_clients(server: MlflowServer) -> None:
    basic = "Basic " + base64.b64encode(b"user:secret").decode()
    environments = {
        basic: {"MLFLOW_TRACKING_USERNAME": "user", "MLFLOW_TRACKING_PASSWORD": "secret"},
        "Bearer token": {"MLFLOW_TRACKING_TOKEN": "token"},
    }
    for wants, environ in environments.items():
        between = Between(server.url, wants=wants)
        with pytest.raises(modelog.Unauthenticated, match="who are you.; set MLFLOW_TRACKING_USERNAME"):
            list(Source(between.url, {}).experiments())
        assert "Default" in {experiment["name"] for experiment in Source(between.url, environ).experiments()}
        between.stop()


def test_a_server_that_is_not_there_is_told(importer: Importer) -> None:
    process = importer.start("http://127.0.0.1:9", "--dry-run")
    assert "does not answer" in process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 1
