"""Asking deployments, over the Open Inference Protocol v2 in REST."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Mapping, Sequence, Union

import httpx

from modelog.client import Client
from modelog.errors import Invalid, NotFound, Unauthenticated, Unavailable

FEATURE, TEXT = "FP32", "BYTES"
Value = Union[float, str, None]
_KINDS = {400: Invalid, 401: Unauthenticated, 403: Unauthenticated, 404: NotFound}


def endpoint(client: Client) -> str:
    """Where the platform answers inference requests."""
    for service in client.services():
        if service.service == "serving" and service.status and "http" in service.status.endpoints:
            return service.status.endpoints["http"]
    raise Unavailable("the serving service does not tell where it answers; see `modelog status`")


def predict(
    client: Client,
    deployment: str,
    records: Sequence[Mapping[str, Value]],
    *,
    version: str = "",
    explain: bool = False,
    samples: int = 0,
    subject: str = "",
) -> Dict[str, Any]:
    """Ask for records by feature name: a tensor for each feature, one row for each record; None is a missing number.

    Answers with version, prediction_ids (one a record) and outputs (records, outputs), of the model's first output or,
    where one of them is a text, of all. With `explain` there is
    `explanation` too: the method, what contributions and base add up to (the margin or the output), contributions by
    feature's name (records, outputs), base (records, outputs), and where they were sampled their standard errors,
    alike. `samples` is from how many orders of the features, for models that are not trees. The texts of all records
    are kept sealed with the key of `subject`, until that is erased.
    """
    if not records or not records[0]:
        raise Invalid("records: at least one record with features is needed")
    names = list(records[0])
    for n, record in enumerate(records):
        if set(record) != set(names):
            raise Invalid(f"records[{n}]: has the features {sorted(record)}, the first has {sorted(names)}")
    client.present("a prediction")
    path = f"/v2/models/{deployment}" + (f"/versions/{version}" if version else "") + "/infer"
    asked: Dict[str, Any] = {}
    if explain:
        asked = {"explain": "shap", **({"explain_samples": samples} if samples else {})}
    if subject:
        asked["subject"] = subject
    try:
        if any(isinstance(value, str) for value in records[0].values()):
            answer = _post(client, path, _tensors(records, _datatypes(client, deployment), asked))
        else:
            answer = _post(client, path, _tensors(records, {}, asked))
    except Invalid:
        # Most signatures say FP32 of all. Only for others it is worth a second request to know what they say.
        datatypes = _datatypes(client, deployment)
        if set(datatypes.values()) <= {FEATURE}:
            raise
        answer = _post(client, path, _tensors(records, datatypes, asked))
    found = _answer(answer, len(records))
    return {**found, "explanation": _explanation(client, deployment, answer)} if explain else found


def _tensors(
    records: Sequence[Mapping[str, Value]], datatypes: Mapping[str, str], parameters: Mapping[str, Any]
) -> Dict[str, Any]:
    inputs = []
    for name in records[0]:
        datatype = datatypes.get(name, FEATURE)
        data = [_json(record[name], datatype) for record in records]
        inputs.append({"name": name, "datatype": datatype, "shape": [len(records)], "data": data})
    return {"inputs": inputs, **({"parameters": dict(parameters)} if parameters else {})}


def _datatypes(client: Client, deployment: str) -> Dict[str, str]:
    """What the deployment's signature says of each feature."""
    signature = client.deployments.get(deployment).signature
    specs = signature.inputs if signature is not None else []
    return {column: spec.datatype for spec in specs for column in (spec.columns or [spec.name])}


def _json(value: Value, datatype: str) -> Union[float, bool, str, None]:
    """A missing value is null: JSON has no NaN. A whole number is written as one where that is asked for."""
    if value is None or value != value:
        return None
    if isinstance(value, str) or datatype == TEXT:
        return value
    if datatype == "BOOL":
        return bool(value)
    return int(value) if "INT" in datatype and value == int(value) else float(value)


def _answer(answer: Mapping[str, Any], rows: int) -> Dict[str, Any]:
    told = [output for output in answer["outputs"] if not output["name"].startswith("explain.")]
    columns = [_by_row(output["data"], rows) for output in told]
    has_texts = any(output["datatype"] == TEXT for output in told)
    parameters = answer.get("parameters", {})
    first = str(parameters.get("prediction_id", answer.get("id", "")))
    ids = str(parameters.get("prediction_ids", first)).split(",")
    return {
        "version": answer.get("model_version", ""),
        "fallback": str(parameters.get("fallback", "")),
        "instead_of": str(parameters.get("instead_of", "")),
        "prediction_ids": ids if len(ids) == rows else [first] * rows,
        "outputs": [[cell for of in columns for cell in of[n]] for n in range(rows)] if has_texts else columns[0],
    }


def _by_row(values: Sequence[Value], rows: int) -> List[List[Value]]:
    width = max(1, len(values) // rows)
    return [list(values[n * width : (n + 1) * width]) for n in range(rows)]


def _explanation(client: Client, deployment: str, answer: Mapping[str, Any]) -> Dict[str, Any]:
    """By the names of the signature's columns, in whose order the contributions are."""
    tensors = {output["name"]: output for output in answer["outputs"]}
    _, outputs, features = tensors["explain.contributions"]["shape"]
    columns = json.loads(_get(client, f"/v2/models/{deployment}")["properties"]["columns"])

    def cut(values: Sequence[float], width: int) -> List[List[float]]:
        return [list(values[n : n + width]) for n in range(0, len(values), width)]

    def named(tensor: str) -> Dict[str, List[List[float]]]:
        each = tensors[tensor]["data"]
        return {name: cut(each[n::features], outputs) for n, name in enumerate(columns)}

    parameters = answer.get("parameters", {})
    found = {
        "method": parameters["explain_method"],
        "of": parameters["explain_of"],
        "contributions": named("explain.contributions"),
        "base": cut(tensors["explain.base"]["data"], outputs),
    }
    return {**found, "error": named("explain.error")} if "explain.error" in tensors else found


def _get(client: Client, path: str) -> Dict[str, Any]:
    url = endpoint(client)
    return _answered(url, lambda: httpx.get(url + path, headers=client.authorization, timeout=60.0))


def _post(client: Client, path: str, body: Mapping[str, Any]) -> Dict[str, Any]:
    url = endpoint(client)
    return _answered(url, lambda: httpx.post(url + path, json=body, headers=client.authorization, timeout=60.0))


def _answered(url: str, ask: Callable[[], httpx.Response]) -> Dict[str, Any]:
    try:
        response = ask()
    except httpx.TransportError as error:
        raise Unavailable(f"{url} does not answer: {error}") from None
    if response.status_code >= 400:
        kind = _KINDS.get(response.status_code, Unavailable)
        try:
            raise kind(str(response.json()["error"]))
        except (ValueError, KeyError):
            raise kind(response.text[:500]) from None
    return dict(response.json())
