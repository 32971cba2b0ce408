"""One logged model of MLflow 3, with its files and what was measured of it."""

from __future__ import annotations

from typing import Mapping

import modelog
from modelog.moving.files import move_files
from modelog.moving.ledger import Ledger
from modelog.moving.marks import SOURCE_ID, WHOLE, fingerprint, moment, request_of, tidied
from modelog.moving.source import Json, Source, mapped
from modelog.types import LoggedModelMetric

STATUSES = {"LOGGED_MODEL_READY": "ready", "LOGGED_MODEL_UPLOAD_FAILED": "failed"}


def move_logged_model(
    source: Source, client: modelog.Client, experiment_id: str, there: Json, runs: Mapping[str, str], ledger: Ledger
) -> str:
    """Its id here."""
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
    if here.tags.get(WHOLE) == state:
        ledger.known("logged models")
        return here.id
    move_files(
        source, client, info["artifact_uri"], here.artifacts,
        lambda files: client.logged_models.add(here.id, artifacts=files), f"logged model {model_id}", ledger,
    )  # fmt: skip
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
