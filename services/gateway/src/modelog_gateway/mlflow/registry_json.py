"""Registered models and their versions as MLflow's clients read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1 import model_pb2 as pb

from modelog_gateway.mlflow.values import milliseconds, pairs

# MLflow's words for our stages.
STAGES: dict[pb.Stage.ValueType, str] = {
    pb.STAGE_DEVELOPMENT: "None",
    pb.STAGE_STAGING: "Staging",
    pb.STAGE_PRODUCTION: "Production",
    pb.STAGE_ARCHIVED: "Archived",
}
# What MLflow keeps beside a version's tags, and we keep among them.
MODEL_ID_TAG, RUN_LINK_TAG = "mlflow.modelId", "mlflow.runLink"
HIDDEN = frozenset({MODEL_ID_TAG, RUN_LINK_TAG})
# The semantic version, which MLflow has no place for.
VERSION_TAG = "modelog.version"


def stage_of(given: str, field: str = "stage") -> pb.Stage.ValueType:
    """Our stage by MLflow's word, in whatever capitals; raises Invalid for any other."""
    for ours, name in STAGES.items():
        if given.casefold() == name.casefold():
            return ours
    raise Invalid.field(
        field, f"Invalid Model Version stage: {given}. Value must be one of {', '.join(STAGES.values())}."
    )


def model_json(model: pb.Model) -> dict[str, Any]:
    """A model whose latest versions are those of each stage."""
    numbers = {version.version: version.number for version in model.versions}
    return {
        "name": model.name,
        "creation_timestamp": milliseconds(model.created_at),
        "last_updated_timestamp": milliseconds(model.updated_at),
        "user_id": model.author,
        "description": model.description,
        "latest_versions": [version_json(version) for version in latest(model.versions)],
        "tags": pairs(model.tags),
        "aliases": [{"alias": a.alias, "version": str(numbers[a.version])} for a in model.aliases],
    }


def latest(versions: Iterable[pb.ModelVersion], stages: Iterable[pb.Stage.ValueType] = ()) -> list[pb.ModelVersion]:
    """The newest version of each of these stages, or of all."""
    wanted = set(stages) or set(STAGES)
    newest: dict[pb.Stage.ValueType, pb.ModelVersion] = {}
    for version in versions:
        if version.stage in wanted and (version.stage not in newest or newest[version.stage].number < version.number):
            newest[version.stage] = version
    return sorted(newest.values(), key=lambda version: version.number)


def version_json(version: pb.ModelVersion) -> dict[str, Any]:
    tags = {key: value for key, value in version.tags.items() if key not in HIDDEN}
    return {
        "name": version.model,
        "version": str(version.number),
        "creation_timestamp": milliseconds(version.created_at),
        "last_updated_timestamp": milliseconds(version.updated_at),
        "user_id": version.author,
        "current_stage": STAGES[version.stage],
        "description": version.description,
        "source": version.source,
        "run_id": version.run_id,
        "run_link": version.tags.get(RUN_LINK_TAG, ""),
        "model_id": version.tags.get(MODEL_ID_TAG, ""),
        "status": "READY",
        "tags": pairs({**tags, VERSION_TAG: version.version}),
        "aliases": list(version.aliases),
    }
