"""MLflow's own client uses the model registry; who did what stays in the history."""

from __future__ import annotations

from pathlib import Path

from clients import MlflowClient
from small_platform import SmallPlatform


def test_models_versions_stages_and_aliases(
    mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path
) -> None:
    name = f"späte Flüge, mlflow {mlflow_client.version}"
    tokens = platform.token("alice", "developer"), platform.token("bob", "developer")
    mlflow_client.run("registry", tmp_path, platform.url, tokens[0], name, tokens[1])
    with platform.client("alice") as alice:
        facts = alice.models.history(name)
        moves = [(f.by, f.version, f.from_stage, f.to_stage) for f in facts if f.kind == "FACT_KIND_VERSION_PROMOTED"]
        assert moves == [
            ("alice", "1.0.0", "STAGE_DEVELOPMENT", "STAGE_STAGING"),
            ("bob", "1.1.0", "STAGE_DEVELOPMENT", "STAGE_STAGING"),
            ("bob", "1.0.0", "STAGE_STAGING", "STAGE_ARCHIVED"),
        ]
        assert (facts[-1].by, facts[-1].kind) == ("bob", "FACT_KIND_MODEL_DELETED")


def test_a_model_is_logged_under_its_name_and_loaded_by_version_and_alias(
    mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path
) -> None:
    name = f"linear-{mlflow_client.version}"
    mlflow_client.run("registered_models", tmp_path, platform.url, platform.token("alice", "developer"), name)
    with platform.client("alice") as alice:
        version = alice.models.by_alias(name, "champion")
        assert (version.number, version.flavor, version.author) == (2, "sklearn", "alice")
        assert {"MLmodel", "requirements.txt"} <= {artifact.path for artifact in version.artifacts}
        assert version.artifact is not None
        assert version.artifact.path.startswith("model.")
