"""What webhooks are told of: MLflow's events under MLflow's names, and those that only this registry has."""

from __future__ import annotations

MLFLOW = (
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
    "prompt_tag.set",
    "prompt_tag.deleted",
    "prompt_version_tag.set",
    "prompt_version_tag.deleted",
    "prompt_alias.created",
    "prompt_alias.deleted",
)
OWN = (
    "model_version_stage.changed",
    "model_version_promotion.requested",
    "model_version_promotion.approved",
    "model_version_promotion.refused",
    "model_version_review.approved",
    "model_version_review.rejected",
    "model_version_retirement.announced",
    "model_version_retirement.objected",
    "model_version_retirement.called_off",
    "model_version_retirement.carried_out",
    "model_version_signature.added",
)
# These belong to no model.
OF_RUNS = ("run.finished", "run.failed", "run.cancelled")
KINDS = MLFLOW + OWN + OF_RUNS
