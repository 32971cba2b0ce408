"""The Open Inference Protocol over gRPC: an unmodified client is answered, a wrong request is told what is wrong.

Over grpcio every call is the servicer's; over our own edge the usual ones go the short way, and nobody notices.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from modelog_common.domain.errors import (
    AlreadyExists,
    Forbidden,
    Invalid,
    ModelogError,
    NotAllowed,
    NotFound,
)
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from numpy.typing import NDArray
from serving_rig import COLUMNS, Caller, Rig, answers_of, model_file, registry_of, serving_of

CLIENT = Path(__file__).parent / "oip_client.py"
ROWS = np.random.default_rng(7).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture(params=["own", "grpcio"])
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with registry_of(Rig(tmp_path)) as made, serving_of(made, grpc_edge=request.param):
        yield made


def request(rows: NDArray[np.float32] = ROWS, parameters: dict[str, Any] | None = None, **fields: Any) -> Any:
    tensor = {
        "name": "features",
        "datatype": "FP32",
        "shape": rows.shape,
        "contents": {"fp32_contents": rows.reshape(-1).tolist()},
    }
    whole: dict[str, Any] = {"model_name": "flights", "inputs": [tensor]} | fields
    made = oip.ModelInferRequest(**whole)
    for name, value in (parameters or {}).items():
        made.parameters[name].CopyFrom(oip.InferParameter(**value))
    return made


def answers(response: Any) -> list[float]:
    return list(response.outputs[0].contents.fp32_contents)


def expected(seed: int = 0, rows: NDArray[np.float32] = ROWS) -> list[float]:
    return [pytest.approx(float(a), abs=1e-6) for a in answers_of(model_file(seed), rows)]


async def test_an_unmodified_client_is_answered(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT), rig.oip, alice.token, "flights", json.dumps(ROWS.tolist()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    seen = json.loads(out)
    assert seen["live"]
    assert seen["ready"]
    assert seen["model_ready"]
    assert seen["server"] == "modelog"
    assert seen["inputs"] == [["features", "FP32", [-1, 4]]]
    assert seen["outputs"] == [["late", "FP32", [-1]]]
    assert seen["versions"] == [seen["version"]] == ["1.0.0"]
    assert seen["id"] == "42"
    assert len(seen["parameters"]["prediction_ids"].split(",")) == 3
    assert seen["answers"] == seen["raw"] == expected()
    assert seen["refused"] == "NOT_FOUND there is no model or deployment 'none'"


async def test_one_tensor_for_each_column_in_any_order(alice: Caller) -> None:
    await alice.deploy()
    tensors = [
        {"name": name, "datatype": "FP32", "shape": [3], "contents": {"fp32_contents": ROWS[:, n].tolist()}}
        for n, name in reversed(list(enumerate(COLUMNS)))
    ]
    assert answers(await alice.inference.ModelInfer(request(inputs=tensors))) == expected()


async def test_missing_values_are_nan(alice: Caller) -> None:
    await alice.deploy()
    rows = ROWS.copy()
    rows[1, 2] = np.nan
    assert answers(await alice.inference.ModelInfer(request(rows))) == expected(rows=rows)


async def test_a_prediction_is_logged_with_what_made_it(alice: Caller) -> None:
    made = await alice.deploy()
    parameters = {"key": {"string_param": "aircraft-7"}, "event_time_us": {"int64_param": 1_000_000}}
    response = await alice.inference.ModelInfer(request(ROWS[:1], parameters, id="r1"))
    told = {name: value.string_param for name, value in response.parameters.items()}
    assert told["version"] == response.model_version == "1.0.0"
    assert told["model_digest"] == made.variants[0].model_digest
    found = await alice.deployments.GetPrediction(
        pb.GetPredictionRequest(deployment="flights", prediction_id=told["prediction_id"])
    )
    assert (found.model, found.version, found.model_digest) == ("flight-delay", "1.0.0", told["model_digest"])
    assert (found.key, found.event_time.ToMicroseconds()) == ("aircraft-7", 1_000_000)
    assert dict(found.features) == dict(zip(COLUMNS, ROWS[0].tolist(), strict=True))
    assert list(found.outputs) == answers(response)
    assert found.answered_at.ToMicroseconds() > 1_000_000
    assert (await alice.deployment()).variants[0].answered == 1


async def test_the_same_prediction_id_is_answered_from_the_log(alice: Caller) -> None:
    await alice.deploy()
    named = {"prediction_id": {"string_param": "p1"}}
    first = await alice.inference.ModelInfer(request(ROWS[:1], named))
    await alice.split(v1_1_0=100)
    again = await alice.inference.ModelInfer(request(ROWS[:1], named))
    assert again == first
    assert again.model_version == "1.0.0"
    with pytest.raises(AlreadyExists, match="'p1' of flights was already answered for other features"):
        await alice.inference.ModelInfer(request(ROWS[1:2], named))
    both = await asyncio.gather(
        *(alice.inference.ModelInfer(request(ROWS, {"prediction_id": {"string_param": "p2"}})) for _ in range(8))
    )
    assert all(response == both[0] for response in both)
    counts = {v.version: v.answered for v in (await alice.deployment()).variants}
    assert counts == {"1.1.0": 3}


async def test_a_given_version_scores_without_being_traffic(alice: Caller) -> None:
    await alice.deploy()
    unapproved = await alice.version(model_file(2))
    for version, seed in (("1.1.0", 1), (unapproved, 2), ("1.0.0", 0)):
        response = await alice.inference.ModelInfer(request(model_version=version))
        assert answers(response) == expected(seed)
        assert response.model_version == version
        assert set(response.parameters) == {"version", "model_digest"}
        assert (await alice.inference.ModelReady(oip.ModelReadyRequest(name="flights", version=version))).ready
        metadata = await alice.inference.ModelMetadata(oip.ModelMetadataRequest(name="flights", version=version))
        assert list(metadata.versions) == [version]
    assert (await alice.deployment()).variants[0].answered == 0
    with pytest.raises(NotFound, match=r"9\.9\.9"):
        await alice.inference.ModelInfer(request(model_version="9.9.9"))
    with pytest.raises(NotFound, match="'newest' is not a semantic version"):
        await alice.inference.ModelInfer(request(model_version="newest"))
    broken = await alice.version(b"no model")
    assert not (await alice.inference.ModelReady(oip.ModelReadyRequest(name="flights", version=broken))).ready


async def test_a_key_stays_with_its_version(alice: Caller) -> None:
    await alice.deploy()
    await alice.split(v1_0_0=50, v1_1_0=50)
    seen: dict[str, str] = {}
    for _ in range(2):
        for n in range(40):
            sent = request(ROWS[:1], {"key": {"string_param": f"k{n}"}})
            response = await alice.inference.ModelInfer(sent)
            assert seen.setdefault(f"k{n}", response.model_version) == response.model_version
    assert set(seen.values()) == {"1.0.0", "1.1.0"}
    counts = {v.version: v.answered for v in (await alice.deployment()).variants}
    assert counts == {version: 2 * list(seen.values()).count(version) for version in ("1.0.0", "1.1.0")}


def tensor(**fields: Any) -> dict[str, Any]:
    whole = {
        "name": "features",
        "datatype": "FP32",
        "shape": [1, 4],
        "contents": {"fp32_contents": [1.0, 2.0, 3.0, 4.0]},
    }
    return whole | fields


def column(name: str, **fields: Any) -> dict[str, Any]:
    return tensor(name=name, shape=[1], contents={"fp32_contents": [1.0]}) | fields


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"inputs": []}, "inputs: is empty; expected 'features' of FP32 and shape [rows, 4], or one tensor"),
    ({"inputs": [tensor(shape=[1, 3])]}, "inputs[0].contents.fp32_contents: has 4 values; 'features' of FP32"),
    (
        {"inputs": [tensor(shape=[2, 2])]},
        "inputs[0].shape: 'features' has shape [2, 2]; expected [rows, 4]",
    ),
    ({"inputs": [tensor(shape=[4])]}, "inputs[0].shape: 'features' has shape [4]; expected [rows, 4]"),
    ({"inputs": [tensor(shape=[-1, 4])]}, "inputs[0].shape: [-1, 4] has a negative length"),
    ({"inputs": [tensor(shape=[0, 4])]}, "inputs[0].shape: [0, 4] holds no element"),
    ({"inputs": [tensor(shape=[])]}, "inputs[0].shape: [] holds no element"),
    ({"inputs": [tensor(shape=[1 << 40, 4])]}, "at most 1000000 are allowed"),
    (
        {"inputs": [tensor(datatype="FP64", contents={"fp64_contents": [1.0] * 4})]},
        "inputs[0].datatype: 'features' has datatype FP64; expected FP32",
    ),
    ({"inputs": [tensor(datatype="FLOAT")]}, "inputs[0].datatype: 'FLOAT' is not supported; it must be one of"),
    ({"inputs": [tensor(datatype="FP16")]}, "cannot hold FP16; send it in raw_input_contents"),
    (
        {"inputs": [tensor(contents={"fp64_contents": [1.0] * 4})]},
        "has 0 values; 'features' of FP32 and shape [1, 4] takes 4; fp64_contents is for other datatypes",
    ),
    (
        {"inputs": [tensor(datatype="INT8", contents={"int_contents": [1000, 0, 0, 0]})]},
        "holds a number that INT8 cannot",
    ),
    ({"inputs": [tensor(), tensor()]}, "inputs[1].name: 'features' is there twice"),
    (
        {"inputs": [tensor(name="input-0")]},
        "inputs[0].name: 'input-0' is no input of this model. Expected 'features' of FP32 and shape [rows, 4]",
    ),
    ({"inputs": [column("hours")]}, "'hours' is no input of this model; did you mean 'hour'?"),
    ({"inputs": [column("hour"), column("delay")]}, "inputs: lack 2 of 4 columns: wind, rain"),
    (
        {"inputs": [*(column(c) for c in COLUMNS), column("extra")]},
        "inputs[4].name: 'extra' is no input of this model",
    ),
    (
        {"inputs": [column("hour", shape=[1, 1, 1]), *(column(c) for c in COLUMNS[1:])]},
        "inputs[0].shape: 'hour' has shape [1, 1, 1]; expected [rows] or [rows, 1]",
    ),
    (
        {"inputs": [*(column(c) for c in COLUMNS[:3]), column("delay", shape=[2], contents={"fp32_contents": [1, 2]})]},
        "inputs[3].shape: 'delay' has 2 rows, the tensors before it have 1",
    ),
    (
        {"inputs": [tensor(contents={"fp32_contents": [1.0, float("inf"), 1.0, 1.0]})]},
        "inputs: row 0, column 'wind' is infinite or too large for FP32",
    ),
    (
        {"inputs": [tensor(shape=[10_001, 4], contents={"fp32_contents": [0.0] * 40_004})]},
        "inputs: have 10001 rows; at most 10000 are allowed",
    ),
    ({"outputs": [{"name": "early"}]}, "outputs[0].name: 'early' is no output; there is late"),
    ({"raw_input_contents": [b"1234"], "inputs": []}, "raw_input_contents: has 1 entries for 0 inputs"),
    (
        {"raw_input_contents": [b"1234"], "inputs": [tensor(contents=None)]},
        "raw_input_contents[0]: has 4 bytes; 'features' of FP32 and shape [1, 4] takes 16",
    ),
    (
        {"raw_input_contents": [bytes(16)]},
        "inputs[0].contents: is given besides raw_input_contents; give one of the two",
    ),
    ({"id": "x" * 201}, "id: has 201 characters; at most 200 are allowed"),
    ({"parameters": {"key": {"int64_param": 1}}}, "parameters.key: is given as int64_param; it must be a string_param"),
    ({"parameters": {"prediction_id": {"string_param": "a,b"}}}, "parameters.prediction_id: 'a,b' has a comma"),
    ({"parameters": {"key": {"string_param": "k" * 201}}}, "parameters.key: has 201 characters"),
    (
        {"parameters": {"event_time_us": {"string_param": "now"}}},
        "parameters.event_time_us: is given as string_param; it must be an int64_param",
    ),
    ({"parameters": {"event_time_us": {"int64_param": -1}}}, "parameters.event_time_us: is -1"),
    ({"parameters": {"event_time_us": {"uint64_param": 1 << 63}}}, "it must fit into 64 bits with a sign"),
]


async def test_wrong_requests_are_told_what_is_wrong_and_leave_no_trace(alice: Caller) -> None:
    await alice.deploy()
    for fields, text in WRONG:
        whole = {"inputs": [tensor()]} | fields
        with pytest.raises(Invalid) as refused:
            await alice.inference.ModelInfer(request(**whole))
        assert text in str(refused.value)
        assert refused.value.violations, text
    assert (await alice.deployment()).variants[0].answered == 0


async def test_who_may_not_ask_is_not_answered(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    cases: list[tuple[Caller, type[ModelogError], str]] = [
        (rig.caller("eve", tenant="other"), NotFound, "no model or deployment 'flights'"),
        (rig.caller("eve", "stranger"), Forbidden, r"eve lacks the permission deployment\.read"),
    ]
    for caller, error, text in cases:
        with pytest.raises(error, match=text):
            await caller.inference.ModelInfer(request())
    async with grpc.aio.insecure_channel(rig.oip) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request().SerializeToString())
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
        assert oip.ServerLiveResponse.FromString(await live(b"")).live
    with pytest.raises(NotFound, match="model_name is empty"):
        await rig.caller("vera", "viewer").inference.ModelInfer(oip.ModelInferRequest())


async def test_a_stopped_deployment_is_told_apart_from_none(alice: Caller) -> None:
    await alice.deploy()
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights"))
    with pytest.raises(NotAllowed, match="'flights' was stopped; it answers no requests"):
        await alice.inference.ModelInfer(request())
