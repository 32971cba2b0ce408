"""The REST edge, held to the protocol's specification: paths, bodies, status codes, errors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any

import aiohttp
import numpy as np
import pytest
from modelog_common.domain.errors import NotAllowed, NotFound
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from numpy.typing import NDArray
from serving_rig import COLUMNS, Caller, Rig, answers_of, model_file, until

ROWS = np.random.default_rng(8).normal(size=(2, 4)).astype(np.float32)


@pytest.fixture
async def http(rig: Rig, alice: Caller) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"authorization": f"Bearer {alice.token}"}
    async with aiohttp.ClientSession(rig.http, headers=headers) as session:
        yield session


async def get(http: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with http.get(path) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def post(http: aiohttp.ClientSession, path: str, body: Any, **extra: Any) -> tuple[int, Any]:
    sent: dict[str, Any] = {"data": body} if isinstance(body, str | bytes) else {"json": body}
    async with http.post(path, **sent, **extra) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


def tensor(**fields: Any) -> dict[str, Any]:
    whole = {"name": "features", "datatype": "FP32", "shape": [2, 4], "data": ROWS.reshape(-1).tolist()}
    return whole | fields


def expected(seed: int = 0, rows: NDArray[np.float32] = ROWS) -> list[Any]:
    return [pytest.approx(float(a), abs=1e-6) for a in answers_of(model_file(seed), rows)]


async def test_health_and_metadata(rig: Rig, alice: Caller, http: aiohttp.ClientSession) -> None:
    await alice.deploy()
    async with aiohttp.ClientSession(rig.http) as anybody:
        assert await get(anybody, "/v2/health/live") == (200, {"live": True})

        async def ready() -> bool:
            return await get(anybody, "/v2/health/ready") == (200, {"ready": True})

        # Models are looked for beside the requests: a process that began a moment ago may not have done so.
        await until(ready, "the server is ready")
        status, server = await get(anybody, "/v2")
    assert status == 200
    assert server["name"] == "modelog"
    assert isinstance(server["extensions"], list)
    assert await get(http, "/v2/models/flights/ready") == (200, {"name": "flights", "ready": True})
    assert (await get(http, "/v2/models/flights/versions/1.1.0/ready"))[1]["ready"]
    status, model = await get(http, "/v2/models/flights")
    assert status == 200
    assert model["versions"] == ["1.0.0"]
    assert model["platform"] == "xgboost"
    assert model["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 4]}]
    assert model["outputs"] == [{"name": "late", "datatype": "FP32", "shape": [-1]}]
    assert (await get(http, "/v2/models/flights/versions/1.1.0"))[1]["versions"] == ["1.1.0"]


@pytest.mark.parametrize("data", [ROWS.reshape(-1).tolist(), ROWS.tolist()], ids=["flat", "nested"])
async def test_infer(alice: Caller, http: aiohttp.ClientSession, data: list[Any]) -> None:
    await alice.deploy()
    body = {"id": "42", "inputs": [tensor(data=data)], "outputs": [{"name": "late"}], "parameters": {"key": "k"}}
    status, answer = await post(http, "/v2/models/flights/infer", body)
    assert status == 200, answer
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "flights", "1.0.0")
    assert answer["outputs"] == [{"name": "late", "datatype": "FP32", "shape": [2], "data": expected()}]
    assert answer["parameters"]["prediction_ids"].count(",") == 1
    status, answer = await post(http, "/v2/models/flights/versions/1.1.0/infer", body)
    assert answer["outputs"][0]["data"] == expected(1)
    assert answer["parameters"].keys() == {"version", "model_digest"}


async def test_predict_by_feature_name(alice: Caller, http: aiohttp.ClientSession) -> None:
    await alice.deploy()
    instances: list[dict[str, Any]] = [dict(zip(COLUMNS, row.tolist(), strict=True)) for row in ROWS]
    instances[1]["rain"] = None
    rows = ROWS.copy()
    rows[1, 2] = np.nan
    body = {"instances": instances, "key": "k", "prediction_id": "p", "event_time_us": 5}
    status, answer = await post(http, "/v1/models/flights/predict", body)
    assert status == 200, answer
    assert answer["predictions"] == expected(rows=rows)
    assert answer["prediction_ids"] == ["p.0", "p.1"]
    assert answer["model_version"] == "1.0.0"
    found = await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="flights", prediction_id="p.1"))
    assert (found.version, found.event_time.ToMicroseconds(), found.key) == ("1.0.0", 5, "k")
    assert found.model_digest == answer["model_digest"]
    scored = await post(http, "/v1/models/flights/predict", {"instances": instances[:1], "version": "1.1.0"})
    assert scored[1]["predictions"] == expected(1)[:1]
    assert scored[1]["prediction_ids"] == []


async def test_a_prediction_is_found_as_of_when_it_was_answered(alice: Caller, http: aiohttp.ClientSession) -> None:
    """As of a position until the next event, as of a time from its answer on."""
    before = (await alice.deploy()).position
    status, answer = await post(
        http, "/v1/models/flights/predict", {"instances": [dict.fromkeys(COLUMNS, 1)], "prediction_id": "p"}
    )
    assert status == 200, answer
    later = (await alice.deploy(name="other")).position

    async def found(as_of: str) -> pb.Prediction:
        request = {"deployment": "flights", "prediction_id": answer["prediction_ids"][0], "read": {"as_of": as_of}}
        prediction: pb.Prediction = await alice.deployments.GetPrediction(pb.GetPredictionRequest(**request))
        return prediction

    now = await found("")
    assert await found(str(before)) == await found(str(later)) == now
    answered_at = now.answered_at.ToDatetime(UTC)
    assert await found(answered_at.isoformat()) == now
    for as_of in (str(before - 1), (answered_at - timedelta(microseconds=1)).isoformat()):
        with pytest.raises(NotFound, match=re.escape(f"as of {as_of}")):
            await found(as_of)


async def test_a_model_with_two_outputs_of_whole_numbers(alice: Caller, http: aiohttp.ClientSession) -> None:
    tensors = [model_pb2.TensorSpec(name=name, datatype="FP32", shape=[-1, 1]) for name in COLUMNS]
    late = model_pb2.TensorSpec(name="late", datatype="INT64", shape=[-1, 1])
    signed = model_pb2.Signature(inputs=tensors, outputs=[late])
    cut = await alice.version(model_file(0), signed=signed)
    with pytest.raises(NotAllowed, match="answers with the numbers of binary:logistic, its signature says INT64"):
        await alice.deploy(cut, name="whole")
    content = model_file(0, objective="binary:hinge")
    await alice.deploy(await alice.version(content, signed=signed), name="whole")
    sent = [tensor(name=name, shape=[2, 1], data=ROWS[:, n].tolist()) for n, name in enumerate(COLUMNS)]
    status, answer = await post(http, "/v2/models/whole/infer", {"inputs": sent})
    assert status == 200, answer
    assert answer["outputs"] == [
        {"name": "late", "datatype": "INT64", "shape": [2, 1], "data": answers_of(content, ROWS).tolist()}
    ]


INFER, PREDICT = "/v2/models/flights/infer", "/v1/models/flights/predict"
GOOD = dict.fromkeys(COLUMNS, 1.0)
WRONG: list[tuple[str, Any, int, str]] = [
    (INFER, "{", 400, "body: is not JSON"),
    (INFER, "[1]", 400, "body: Expected `object`, got `array`"),
    (INFER, {}, 400, "body: Object missing required field `inputs`"),
    (INFER, {"inputs": []}, 400, "inputs: is empty"),
    (INFER, {"inputs": [{"name": "features"}]}, 400, "inputs[0]: Object missing required field `shape`"),
    (INFER, {"inputs": [tensor(shape=["x"])]}, 400, "inputs[0].shape[0]: Expected `int`, got `str`"),
    (INFER, {"inputs": [tensor(shape=[2, 5])]}, 400, "inputs[0].data: has 8 values"),
    (INFER, {"inputs": [tensor(shape=[4, 2])]}, 400, "expected [rows, 4]"),
    (INFER, {"inputs": [tensor(datatype="TEXT")]}, 400, "inputs[0].datatype: 'TEXT' is not supported"),
    (INFER, {"inputs": [tensor(data=["1"] * 8)]}, 400, "inputs[0].data[0]: '1' is not allowed; it must be a number"),
    (INFER, {"inputs": [tensor(data=[True] * 8)]}, 400, "inputs[0].data[0]: True is not allowed"),
    (INFER, {"inputs": [tensor(data=[[1.0] * 8])]}, 400, "inputs[0].data: has 1 lists; the shape takes 2 there"),
    (
        INFER,
        {"inputs": [tensor(data=[[1.0] * 4, [1.0] * 3])]},
        400,
        "inputs[0].data[1]: [1.0, 1.0, 1.0] is not allowed",
    ),
    (INFER, {"inputs": [tensor(data=[[1.0] * 4, 1.0])]}, 400, "inputs[0].data[1]: 1.0 is not allowed"),
    (INFER, {"inputs": [tensor(datatype="INT8", data=[1.5] * 8)]}, 400, "it must be a whole number"),
    (INFER, {"inputs": [tensor(datatype="INT8", data=[1000] * 8)]}, 400, "a number that is too large"),
    (INFER, {"inputs": [tensor(datatype="BOOL", data=[1] * 8)]}, 400, "it must be true or false"),
    (INFER, {"inputs": [tensor(data=[1e300] * 8)]}, 400, "is infinite or too large for FP32"),
    (INFER, {"inputs": [tensor(parameters={"binary_data_size": 32}, data=[])]}, 400, "there are 0 bytes left"),
    (INFER, {"inputs": [tensor()], "parameters": {"key": 5}}, 400, "parameters.key: 5 is not allowed"),
    (INFER, {"inputs": [tensor()], "parameters": {"event_time_us": "a" * 99}}, 400, "it must be a whole number"),
    ("/v2/models/none/infer", {"inputs": [tensor()]}, 404, "no model or deployment 'none'"),
    ("/v2/models/flights/versions/9.9.9/infer", {"inputs": [tensor()]}, 404, "9.9.9"),
    (PREDICT, {"instances": []}, 400, "instances: has 0 entries"),
    (PREDICT, {"rows": []}, 400, "unknown field `rows`"),
    (PREDICT, {"instances": [{}]}, 400, "instances[0]: has no feature 'hour'; expected are hour, wind, rain, delay"),
    (PREDICT, {"instances": [GOOD, GOOD | {"snow": 1}]}, 400, "instances[1]: has the feature 'snow'"),
    (PREDICT, {"instances": [GOOD | {"wind": "strong"}]}, 400, "instances[0]"),
    (PREDICT, {"instances": [GOOD | {"wind": True}]}, 400, "instances[0].wind: True is not allowed"),
    (PREDICT, {"instances": [GOOD], "key": "k" * 201}, 400, "parameters.key: has 201 characters"),
    ("/v2/elsewhere", {}, 404, "there is nothing at /v2/elsewhere"),
    ("/v2/health/live", {}, 405, "POST is not allowed at /v2/health/live; allowed: GET"),
    (INFER, b" " * (17 << 20), 413, "the body is larger than"),
]


async def test_wrong_requests_are_told_what_is_wrong(alice: Caller, http: aiohttp.ClientSession) -> None:
    await alice.deploy()
    for path, body, status, text in WRONG:
        answered, answer = await post(http, path, body)
        assert (answered, list(answer)) == (status, ["error"]), (path, answer)
        assert text in answer["error"], answer
    assert (await alice.deployment()).variants[0].answered == 0


async def test_other_errors_have_their_own_status(rig: Rig, alice: Caller, http: aiohttp.ClientSession) -> None:
    await alice.deploy()
    body = {"instances": [GOOD], "prediction_id": "p"}
    assert (await post(http, PREDICT, body))[0] == 200
    status, answer = await post(http, PREDICT, body | {"instances": [GOOD | {"hour": 2}]})
    assert (status, list(answer)) == (409, ["error"])
    for header, wanted in (
        ("", 401),
        ("Bearer nonsense", 401),
        ("Basic abc", 401),
        (f"Bearer {rig.token('eve', 'stranger')}", 403),
        (f"Bearer {rig.token('eve', tenant='other')}", 404),
    ):
        status, answer = await post(http, PREDICT, body, headers={"authorization": header})
        assert (status, list(answer)) == (wanted, ["error"]), header
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights"))
    assert (await post(http, PREDICT, body))[0] == 409
    assert (await get(http, "/v2/models/flights"))[0] == 409
