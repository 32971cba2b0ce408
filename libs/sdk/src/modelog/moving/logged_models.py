"""One logged model of MLflow 3, with its files and what was measured of it."""

from __future__ import annotations

from typing import List, Mapping

from modelog.moving.files import Carrier
from modelog.moving.marks import SOURCE_ID, WHOLE, fingerprint, moment, request_of, tidied
from modelog.moving.source import Json, mapped
from modelog.types import Artifact, LoggedModelMetric

STATUSES = {"LOGGED_MODEL_READY": "ready", "LOGGED_MODEL_UPLOAD_FAILED": "failed"}


def move_logged_model(carrier: Carrier, experiment_id: str, there: Json, runs: Mapping[str, str]) -> str:
    """Its id here. Of one that is here wholly only the files are looked at."""
    source, client, ledger = carrier.source, carrier.client, carrier.ledger
    info, data = there["info"], there.get("data", {})
    model_id, state = info["model_id"], fingerprint(there)
    tags = mapped(info.get("tags"))
    here = client.logged_models.create(
        experiment_id,
        tidied(info.get("name") or ""),
        model_type=info.get("model_type") or "",
        source_run_id=runs.get(info.get("source_run_id") or "", ""),
        parameters=mapped(data.get("params")),
        tags={**tags, SOURCE_ID: model_id},
        created_at=moment(info.get("creation_timestamp_ms")),
        request_id=request_of("logged model", model_id),
    )
    added: List[Artifact] = []

    def add(files: List[Artifact]) -> None:
        client.logged_models.add(here.id, artifacts=files)
        added.extend(files)

    root = info["artifact_uri"]
    carrier.move(source.files(root), root, here.artifacts, add, f"logged model {model_id}")
    if here.tags.get(WHOLE) == state:
        (ledger.moved if added else ledger.known)("logged models")
        return here.id
    metrics = [_metric(metric, runs) for metric in data.get("metrics", [])]
    status = STATUSES.get(info.get("status", ""))
    if status and here.status == "LOGGED_MODEL_STATUS_PENDING":
        client.logged_models.finalise(here.id, status, info.get("status_message") or "")
    client.logged_models.add(here.id, metrics=metrics, tags={**tags, WHOLE: state})
    ledger.moved("logged models")
    return here.id


def _metric(metric: Json, runs: Mapping[str, str]) -> LoggedModelMetric:
    return LoggedModelMetric(
        name=metric["key"],
        value=float(metric["value"]),
        step=int(metric.get("step") or 0),
        at=moment(metric.get("timestamp")),
        run_id=runs.get(metric.get("run_id") or "", ""),
        dataset_name=metric.get("dataset_name") or "",
        dataset_digest=metric.get("dataset_digest") or "",
    )
