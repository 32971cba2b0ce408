"""A run as MLflow's clients read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelog_proto.registry.v1 import experiment_pb2 as pb

from modelog_gateway.mlflow.conditions import RUN_NAME_TAG
from modelog_gateway.mlflow.locations import run_root
from modelog_gateway.mlflow.values import milliseconds, number, pairs, parameter_texts, shown_id

# Ours, MLflow's name, the number in MLflow's enumeration.
STATUSES = (
    (pb.RUN_STATUS_RUNNING, "RUNNING", 1),
    (pb.RUN_STATUS_SCHEDULED, "SCHEDULED", 2),
    (pb.RUN_STATUS_COMPLETED, "FINISHED", 3),
    (pb.RUN_STATUS_FAILED, "FAILED", 4),
    (pb.RUN_STATUS_CANCELLED, "KILLED", 5),
)
STATUS_NAMES: dict[int, str] = {ours: name for ours, name, _ in STATUSES}


def run_json(run: pb.Run, experiment_root: str) -> dict[str, Any]:
    """`experiment_root` is where the artifacts of its experiment are."""
    info: dict[str, Any] = {
        "run_id": run.id,
        "run_uuid": run.id,
        "run_name": run.name,
        "experiment_id": shown_id(run.experiment_id),
        "user_id": run.author,
        "status": STATUS_NAMES.get(run.status, "RUNNING"),
        "start_time": milliseconds(run.started_at),
        "artifact_uri": run_root(experiment_root, run.id),
        "lifecycle_stage": "deleted" if run.HasField("deleted_at") else "active",
    }
    if run.HasField("ended_at"):
        info["end_time"] = milliseconds(run.ended_at)
    return {
        "info": info,
        "data": {
            "metrics": [
                {
                    "key": point.name,
                    "value": number(point.value),
                    "timestamp": milliseconds(point.at),
                    "step": point.step,
                }
                for point in run.last_points
            ],
            "params": pairs(parameter_texts(run.parameters)),
            # The name is also a tag to MLflow.
            "tags": [*pairs(run.tags), {"key": RUN_NAME_TAG, "value": run.name}],
        },
        "inputs": {
            "dataset_inputs": [_input_json(given) for given in run.inputs],
            "model_inputs": [{"model_id": model.model_id} for model in run.model_inputs],
        },
        "outputs": {"model_outputs": _outputs_json(run.model_outputs)},
    }


def _input_json(given: pb.DatasetInput) -> dict[str, Any]:
    dataset = {"name": given.name, "digest": given.digest, "source_type": given.source_type, "source": given.source}
    if given.schema:
        dataset["schema"] = given.schema
    if given.profile:
        dataset["profile"] = given.profile
    return {"dataset": dataset, "tags": pairs(given.tags)}


def _outputs_json(models: Iterable[pb.RunModel]) -> list[dict[str, Any]]:
    return [{"model_id": model.model_id, "step": model.step} for model in models]
