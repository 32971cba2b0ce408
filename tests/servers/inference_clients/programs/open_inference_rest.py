"""The client that is generated from the official REST specification, open-inference-openapi: argv is JSON."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import httpx
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.errors.bad_request_error import BadRequestError
from open_inference.openapi.types.inference_request import InferenceRequest
from open_inference.openapi.types.request_input import RequestInput
from open_inference.openapi.types.request_output import RequestOutput
from open_inference.openapi.types.tensor_data import TensorData

given: dict[str, Any] = json.loads(sys.argv[1])
NAME, ROWS = given["name"], given["rows"]
httpx_client = httpx.Client(headers={"authorization": f"Bearer {given['token']}"}, timeout=150)
client = OpenInferenceClient(base_url=given["http"], httpx_client=httpx_client)


def request(width: int = 4) -> InferenceRequest:
    flat = [value for row in ROWS for value in row[:width]]
    tensor = RequestInput(name="features", shape=[len(ROWS), width], datatype="FP32", data=TensorData.parse_obj(flat))
    return InferenceRequest(id="42", inputs=[tensor], outputs=[RequestOutput(name="late")])


client.check_server_liveness()
client.check_server_readiness()
client.check_model_readiness(NAME)
client.check_model_version_readiness(NAME, "1.1.0")
assert client.read_server_metadata().name == "modelog"
described = client.read_model_metadata(NAME)
assert (described.name, described.platform, described.versions) == (NAME, "xgboost", ["1.0.0"])
assert client.read_model_version_metadata(NAME, "1.1.0").versions == ["1.1.0"]
for answered, expected in (
    (client.model_infer(NAME, request=request()), given["expected"]),
    (client.model_version_infer(NAME, "1.1.0", request=request()), given["other"]),
):
    assert (answered.id, answered.model_name, answered.outputs[0].name) == ("42", NAME, "late")
    data: Any = answered.outputs[0].data.__root__
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(data, expected, strict=True))
for call, kind, status in (
    (lambda: client.read_model_metadata("none"), ApiError, 404),
    (lambda: client.model_infer("none", request=request()), ApiError, 404),
    (lambda: client.model_infer(NAME, request=request(3)), BadRequestError, 400),
):
    told = 0
    try:
        call()
    except kind as error:
        told = error.status_code
    assert told == status
