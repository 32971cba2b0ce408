"""MLflow's own client uses the model registry; who did what stays in the history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import modelog
import pytest
from clients import MlflowClient
from modelog.inference import predict
from small_platform import SmallPlatform


def test_models_versions_stages_and_aliases(
    mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path
) -> None:
    name = f"späte Flüge, mlflow {mlflow_client.version}"
    tokens = platform.token("alice", "developer"), platform.token("bob", "developer")
    mlflow_client.run("registry", tmp_path, platform.url, tokens[0], name, tokens[1])
    with platform.client("alice") as alice:
        facts = alice.models.history(f"{name}, renamed")
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


def test_a_version_has_the_signature_that_it_was_logged_with_and_is_served_where_its_format_is(
    mlflow_client: MlflowClient, platform: SmallPlatform, tmp_path: Path
) -> None:
    name = f"signed {mlflow_client.version}"
    token = platform.token("alice", "developer")
    told = json.loads(mlflow_client.run("signed_models", tmp_path, platform.url, token, name).splitlines()[-1])
    with platform.client("alice") as alice:
        version = alice.models.version(f"{name} booster", "1.0.0")
        assert version.signature is not None
        found = [(t.name, t.datatype, t.shape, t.columns) for t in version.signature.inputs]
        assert found == [("a", "FP64", [-1, 1], ["a"]), ("b", "INT64", [-1, 1], ["b"])]
        assert [(t.name, t.datatype, t.shape) for t in version.signature.outputs] == [("output", "FP32", [-1])]
        assert version.flavor == "xgboost"
        assert {"xgboost", "python_function"} == version.flavors.keys()
        assert version.environment is not None
        assert version.environment.packages.items() >= {"xgboost": "3.2.0", "pandas": ""}.items()
        assert version.environment.python.startswith("3.11")

        short = mlflow_client.version.replace(".", "-")
        _check_answers(alice, f"booster-{short}", f"{name} booster", told, "booster", few=1e-6)
        _check_answers(alice, f"leaves-{short}", f"{name} leaves", told, "leaves")
        # MLflow 3 writes scikit-learn's models with skops, MLflow 2 as pickles, which are read once they are approved.
        approved = ("classes",) if mlflow_client.version.startswith("3.") else ("classes", "linear")
        refusals = {
            "labels": "answers with the numbers of binary:logistic, its signature says INT",
            "unsigned": "an MLmodel file holds one when the model is logged with signature= or input_example=",
            **dict.fromkeys(approved, "have the version approved by somebody else and promoted to staging"),
        }
        for what, why in refusals.items():
            with pytest.raises(modelog.NotAllowed, match=why):
                alice.deployments.create(f"{what}-{short}", f"{name} {what}", "1.0.0", "dev")
        with platform.client("bob") as bob:
            for what in approved:
                bob.models.approve(f"{name} {what}", "1.0.0", "trained it again")
                alice.models.promote(f"{name} {what}", "1.0.0", "staging")
        for what in ("linear", "classes"):
            _check_answers(alice, f"{what}-{short}", f"{name} {what}", told, what)


def _check_answers(
    alice: modelog.Client, deployment: str, model: str, told: Any, what: str, *, few: float = 1e-12
) -> None:
    """It is deployed, and answers what the client printed that it does there."""
    alice.deployments.create(deployment, model, "1.0.0", "dev")
    answered = predict(alice, deployment, told["rows"])
    assert [row[0] for row in answered["outputs"]] == pytest.approx(told["answers"][what], abs=few)
