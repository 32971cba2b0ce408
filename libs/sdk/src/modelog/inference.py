"""Asking deployments, over the Open Inference Protocol v2 in REST."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

import httpx

from modelog.client import Client
from modelog.errors import Invalid, NotFound, Unauthenticated, Unavailable

_KINDS = {400: Invalid, 401: Unauthenticated, 403: Unauthenticated, 404: NotFound}


def endpoint(client: Client) -> str:
    """Where the platform answers inference requests."""
    for service in client.services():
        if service.service == "serving" and service.status and "http" in service.status.endpoints:
            return service.status.endpoints["http"]
    raise Unavailable("the serving service does not tell where it answers; see `modelog status`")


def predict(
    client: Client, deployment: str, records: Sequence[Mapping[str, Optional[float]]], *, version: str = ""
) -> Dict[str, Any]:
    """Ask for records by feature name: one FP32 tensor for each feature, one row for each record; None is missing.

    Answers with version, prediction_ids (one a record) and outputs (records, outputs).
    """
    if not records or not records[0]:
        raise Invalid("records: at least one record with features is needed")
    names = list(records[0])
    for n, record in enumerate(records):
        if set(record) != set(names):
            raise Invalid(f"records[{n}]: has the features {sorted(record)}, the first has {sorted(names)}")
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [len(records)], "data": [_json(r[name]) for r in records]}
        for name in names
    ]
    client.present("a prediction")
    path = f"/v2/models/{deployment}" + (f"/versions/{version}" if version else "") + "/infer"
    answer = _post(client, path, {"inputs": inputs})
    return _answer(answer, len(records))


def _json(value: Optional[float]) -> Optional[float]:
    """A missing value is null: JSON has no NaN."""
    return None if value is None or value != value else float(value)


def _answer(answer: Mapping[str, Any], rows: int) -> Dict[str, Any]:
    values: List[float] = answer["outputs"][0]["data"]
    width = max(1, len(values) // rows)
    parameters = answer.get("parameters", {})
    first = str(parameters.get("prediction_id", answer.get("id", "")))
    ids = str(parameters.get("prediction_ids", first)).split(",")
    return {
        "version": answer.get("model_version", ""),
        "prediction_ids": ids if len(ids) == rows else [first] * rows,
        "outputs": [values[n * width : (n + 1) * width] for n in range(rows)],
    }


def _post(client: Client, path: str, body: Mapping[str, Any]) -> Dict[str, Any]:
    url = endpoint(client)
    try:
        response = httpx.post(url + path, json=body, headers=client.authorization, timeout=60.0)
    except httpx.TransportError as error:
        raise Unavailable(f"{url} does not answer: {error}") from None
    if response.status_code >= 400:
        kind = _KINDS.get(response.status_code, Unavailable)
        try:
            raise kind(str(response.json()["error"]))
        except (ValueError, KeyError):
            raise kind(response.text[:500]) from None
    return dict(response.json())
