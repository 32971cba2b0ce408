"""MLflow's /invocations: each of its forms gives what the model itself gives, and what is wrong is named."""

from __future__ import annotations

from typing import Any

import aiohttp
import numpy as np
import pytest
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, Caller, Rig, answers_of, model_file

ROWS = np.random.default_rng(3).normal(size=(2, 4)).astype(np.float32)
ROWS[1, 2] = np.nan
TABLE = [[None if np.isnan(v) else v for v in row] for row in ROWS.tolist()]
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in TABLE]
BY_COLUMN = {name: [row[n] for row in TABLE] for n, name in enumerate(COLUMNS)}
TURNED = [COLUMNS[::-1], [row[::-1] for row in TABLE]]
CSV = "extra,hour,wind,rain,delay\n" + "".join(
    f"x,{','.join('' if v is None else repr(v) for v in row)}\n" for row in TABLE
)
FORMS: dict[str, Any] = {
    "split": {"dataframe_split": {"columns": COLUMNS, "index": [0, 1], "data": TABLE}},
    "split in another order": {"dataframe_split": {"columns": TURNED[0], "data": TURNED[1]}},
    "records": {"dataframe_records": RECORDS},
    "records with more": {"dataframe_records": [record | {"extra": "x"} for record in RECORDS]},
    "instances by name": {"instances": RECORDS},
    "instances": {"instances": TABLE},
    "inputs": {"inputs": TABLE},
    "inputs by column": {"inputs": BY_COLUMN},
    "inputs by column of one": {"inputs": {name: [[v] for v in values] for name, values in BY_COLUMN.items()}},
    "inputs by tensor": {"inputs": {"features": TABLE}},
    "inputs with parameters": {"inputs": TABLE, "params": {"key": "k"}},
}


async def invoke(
    rig: Rig, token: str, body: Any, path: str = "/invocations", content_type: str = "application/json"
) -> tuple[int, Any]:
    sent = {"data": body} if isinstance(body, str | bytes) else {"json": body}
    headers = {"authorization": f"Bearer {token}", "content-type": content_type}
    async with aiohttp.ClientSession(rig.http) as session, session.post(path, headers=headers, **sent) as response:
        return response.status, await response.json()


async def test_every_form_is_answered_as_by_the_model(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    expected = [pytest.approx(float(a), abs=1e-6) for a in answers_of(model_file(0), ROWS)]
    for name, body in FORMS.items():
        status, answer = await invoke(rig, alice.token, body)
        assert status == 200, (name, answer)
        assert answer["predictions"] == expected, name
    status, answer = await invoke(rig, alice.token, CSV, content_type="text/csv; charset=utf-8")
    assert (status, answer["predictions"]) == (200, expected)
    named = {"params": {"prediction_id": "p", "key": "k", "event_time_us": 5}} | FORMS["records"]
    status, answer = await invoke(rig, alice.token, named, "/v1/models/flights/invocations")
    assert (status, answer["predictions"], answer["prediction_ids"]) == (200, expected, ["p.0", "p.1"])
    found = await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="flights", prediction_id="p.1"))
    assert (found.key, found.event_time.ToMicroseconds()) == ("k", 5)
    status, answer = await invoke(rig, alice.token, {"params": {"version": "1.1.0"}} | FORMS["split"])
    assert answer["predictions"] == [pytest.approx(float(a), abs=1e-6) for a in answers_of(model_file(1), ROWS)]
    async with aiohttp.ClientSession(rig.http) as session:
        for path in ("/ping", "/health"):
            async with session.get(path) as response:
                assert response.status == 200


async def test_whole_numbers_and_truth_in_csv(rig: Rig, alice: Caller) -> None:
    names = dict(zip(COLUMNS, ("INT64", "BOOL", "FP32", "UINT8"), strict=True))
    signed = model_pb2.Signature(
        inputs=[model_pb2.TensorSpec(name=name, datatype=kind, shape=[-1]) for name, kind in names.items()],
        outputs=[model_pb2.TensorSpec(name="late", datatype="FP32", shape=[-1])],
    )
    await alice.deploy(await alice.version(model_file(0), signed=signed))
    rows = np.array([[3, 1, 0.5, 7], [-2, 0, np.nan, 0]], np.float32)
    text = "hour,wind,rain,delay\n3,true,0.5,7\n-2,0,,0\n"
    status, answer = await invoke(rig, alice.token, text, content_type="text/csv")
    assert status == 200, answer
    assert answer["predictions"] == [pytest.approx(float(a), abs=1e-6) for a in answers_of(model_file(0), rows)]
    for cell, said in (("3.5,true", "'hour': '3.5' is no INT64"), ("3,maybe", "'wind': 'maybe' is no BOOL")):
        status, answer = await invoke(rig, alice.token, f"hour,wind,rain,delay\n{cell},1,1\n", content_type="text/csv")
        assert (status, answer["error"]) == (400, f"body, row 0, column {said}")


SPLIT = {"columns": COLUMNS, "data": TABLE}
EXPECTED = "expected are hour, wind, rain, delay"
WRONG: list[tuple[Any, str, int, str]] = [
    ("{", "application/json", 400, "body: is not JSON"),
    ("[]", "application/json", 400, "body: Expected `object`, got `array`"),
    ({}, "application/json", 400, "body: has none of the forms; give one of dataframe_split, dataframe_records"),
    ({"inputs": TABLE, "instances": TABLE}, "application/json", 400, "body: has instances and inputs; give one"),
    ({"rows": []}, "application/json", 400, "unknown field `rows`"),
    ({"inputs": TABLE, "params": {"top": 1}}, "application/json", 400, "params: Object contains unknown field `top`"),
    ({"inputs": []}, "application/json", 400, "inputs: has 0 rows; 1 to 10000 are allowed"),
    ({"inputs": [[1, 2]]}, "application/json", 400, f"inputs[0]: has 2 values; {EXPECTED}"),
    ({"inputs": [[1, 2, 3, "x"]]}, "application/json", 400, "inputs[0][3]: 'x' is not allowed; it must be a number"),
    ({"inputs": {"features": [1.0]}}, "application/json", 400, "inputs.features[0]: is not a list of 4 values"),
    ({"inputs": {"hour": [1.0]}}, "application/json", 400, f"inputs: has no column 'wind'; {EXPECTED}"),
    ({"inputs": BY_COLUMN | {"rain": [1]}}, "application/json", 400, "inputs.rain: has 1 values, the columns before"),
    ({"dataframe_records": [{"hour": 1}]}, "application/json", 400, "dataframe_records[0]: has no column 'wind'"),
    (
        {"dataframe_split": SPLIT | {"data": [[1]]}},
        "application/json",
        400,
        "dataframe_split.data[0]: has 1 values for 4",
    ),
    ({"dataframe_split": {"data": TABLE}}, "application/json", 400, "dataframe_split: Object missing required field"),
    (
        {"dataframe_split": SPLIT | {"columns": ["a"]}},
        "application/json",
        400,
        "dataframe_split.columns: has no column",
    ),
    ("", "text/csv", 400, "body: has 0 rows"),
    ("hour,wind\n1,2\n", "text/csv", 400, "body: has no column 'rain'"),
    ("hour,wind,rain,delay\n1,2,3\n", "text/csv", 400, "body, row 0: has 3 values for 4 columns"),
    ("hour,wind,rain,delay\n1,2,3,x\n", "text/csv", 400, "body, row 0, column 'delay': 'x' is no FP32"),
    ("hour,wind,rain,delay\n1,2,inf,4\n", "text/csv", 400, "row 0, column 'rain' is infinite"),
    (b"\xff\xfe", "text/csv", 400, "body: is not UTF-8"),
    (CSV, "text/html", 400, "Content-Type: is 'text/html'; it must be application/json or text/csv"),
]


async def test_what_is_wrong_is_named(rig: Rig, alice: Caller) -> None:
    none = await invoke(rig, alice.token, FORMS["split"])
    assert (none[0], "no deployments run here" in none[1]["error"]) == (404, True)
    await alice.deploy()
    for body, content_type, status, text in WRONG:
        answered, answer = await invoke(rig, alice.token, body, content_type=content_type)
        assert (answered, list(answer)) == (status, ["error"]), (body, answer)
        assert text in answer["error"], answer
    assert (await alice.deployment()).variants[0].answered == 0
    assert (await invoke(rig, rig.token("eve", "stranger"), FORMS["split"]))[0] == 403
    await alice.deploy(name="other")
    status, answer = await invoke(rig, alice.token, FORMS["split"])
    assert (status, "2 deployments run here" in answer["error"]) == (404, True)
