"""Programs that use MLflow's own client, of two major versions, do what they do against a server of MLflow's."""

from __future__ import annotations

from pathlib import Path

from clients import MlflowClient
from small_platform import SmallPlatform


def test_experiments_runs_batches_and_search(
    mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path
) -> None:
    token = platform.token("alice", "developer")
    said = mlflow_client.run("tracking", tmp_path, platform.url, token, mlflow_client.version)
    experiment_id, first, _ = said.split()[-3:]
    run = platform.client().runs.get(first)
    assert (run.status, run.parameters["depth"]) == ("RUN_STATUS_CANCELLED", "6")
    assert experiment_id


def test_artifacts(mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path) -> None:
    token = platform.token("alice", "developer")
    run_id = mlflow_client.run("files", tmp_path, platform.url, token).split()[-1]
    artifacts = {artifact.path: artifact.size_bytes for artifact in platform.client().runs.get(run_id).artifacts}
    assert artifacts["large files/big.bin"] == 3_000_000


def test_models_that_a_run_logs(mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path) -> None:
    token = platform.token("alice", "developer")
    assert mlflow_client.run("models", tmp_path, platform.url, token).split()


def test_autologging_of_three_frameworks(mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path) -> None:
    mlflow_client.run(
        "autologging", tmp_path, platform.url, platform.token("alice", "developer"), mlflow_client.version
    )
