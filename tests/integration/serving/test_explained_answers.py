"""Answers with what each feature contributed: over gRPC and REST, beside the answer that is logged as ever."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from aiohttp import ClientSession
from modelog_common.domain.errors import Invalid
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, Caller, Rig, model_file
from sklearn.linear_model import LinearRegression

ROWS = np.random.default_rng(4).normal(size=(6, len(COLUMNS))).astype(np.float32)
SIGNED = model_pb2.Signature(
    inputs=[model_pb2.TensorSpec(name="features", datatype="FP64", shape=[-1, len(COLUMNS)], columns=COLUMNS)],
    outputs=[model_pb2.TensorSpec(name="late", datatype="FP64", shape=[-1])],
)


def request(name: str, datatype: str, **parameters: Any) -> oip.ModelInferRequest:
    rows = ROWS.astype("<f4" if datatype == "FP32" else "<f8")
    message = oip.ModelInferRequest(
        model_name=name,
        inputs=[{"name": "features", "datatype": datatype, "shape": rows.shape}],
        raw_input_contents=[rows.tobytes()],
    )
    for key, value in parameters.items():
        setattr(message.parameters[key], "string_param" if isinstance(value, str) else "int64_param", value)
    return message


def tensors(answer: oip.ModelInferResponse) -> dict[str, np.ndarray[Any, Any]]:
    dtypes = {"FP32": "<f4", "FP64": "<f8"}
    return {
        output.name: np.frombuffer(raw, dtypes[output.datatype]).reshape(list(output.shape))
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def parameters(answer: oip.ModelInferResponse) -> dict[str, str]:
    return {name: value.string_param for name, value in answer.parameters.items()}


async def test_trees_are_explained_exactly_and_logged_as_ever(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    plain = tensors(await alice.inference.ModelInfer(request("flights", "FP32", prediction_id="p")))
    assert list(plain) == ["late"]
    answer = await alice.inference.ModelInfer(request("flights", "FP32", prediction_id="p", explain="shap"))
    found = tensors(answer)
    assert {name: values.shape for name, values in found.items()} == {
        "late": (6,),
        "explain.contributions": (6, 1, len(COLUMNS)),
        "explain.base": (6, 1),
    }
    np.testing.assert_array_equal(found["late"], plain["late"])
    assert parameters(answer)["explain_method"] == "tree_shap"
    assert parameters(answer)["explain_of"] == "margin"
    booster = xgboost.Booster(model_file=bytearray(model_file(0)))
    margin = booster.predict(xgboost.DMatrix(ROWS, feature_names=list(COLUMNS)), output_margin=True)
    whole = found["explain.contributions"].sum(axis=2) + found["explain.base"]
    np.testing.assert_allclose(whole[:, 0], margin, rtol=1e-4, atol=1e-5)
    logged = await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="flights", prediction_id="p.1"))
    assert list(logged.outputs) == [float(plain["late"][1])]
    headers = {"authorization": f"Bearer {alice.token}"}
    body = {
        "inputs": [{"name": "features", "datatype": "FP32", "shape": list(ROWS.shape), "data": ROWS.tolist()}],
        "parameters": {"explain": "shap"},
    }
    async with (
        ClientSession(headers=headers) as session,
        session.post(f"{rig.http}/v2/models/flights/infer", json=body) as response,
    ):
        told = await response.json()
    by_name = {output["name"]: output for output in told["outputs"]}
    assert told["parameters"]["explain_method"] == "tree_shap"
    assert by_name["explain.contributions"]["shape"] == [6, 1, len(COLUMNS)]
    np.testing.assert_array_equal(
        by_name["explain.contributions"]["data"], found["explain.contributions"].reshape(-1).tolist()
    )


async def test_other_models_are_explained_by_sampling(alice: Caller) -> None:
    """A linear model's contributions are known: each coefficient times what the row is away from the baseline."""
    lines = LinearRegression().fit(ROWS, ROWS @ np.arange(1.0, 1 + len(COLUMNS)))
    version = await alice.version(skops.io.dumps(lines), flavor="sklearn", signed=SIGNED)
    await alice.deploy(version, "lines")
    baseline = ",".join(["0.5"] * len(COLUMNS))
    asked = request("lines", "FP64", explain="shap", explain_baseline=baseline, explain_samples=10, explain_seed=3)
    answer = await alice.inference.ModelInfer(asked)
    found = tensors(answer)
    assert parameters(answer)["explain_method"] == "sampled_shapley"
    assert parameters(answer)["explain_of"] == "output"
    assert parameters(answer)["explain_samples"] == "10"
    np.testing.assert_allclose(found["explain.contributions"][:, 0], (ROWS - 0.5) * lines.coef_, atol=1e-6)
    np.testing.assert_allclose(
        found["explain.contributions"].sum(axis=2)[:, 0] + found["explain.base"][:, 0], found["late"], rtol=1e-9
    )
    assert found["explain.error"].max() < 1e-6


async def test_a_version_that_is_asked_by_name_is_explained_too(alice: Caller) -> None:
    data = lightgbm.Dataset(ROWS, ROWS[:, 0], feature_name=list(COLUMNS))
    trees = lightgbm.train({"num_threads": 1, "verbosity": -1, "min_data_in_leaf": 1}, data, 3)
    version = await alice.version(trees.model_to_string().encode(), flavor="lightgbm", signed=SIGNED)
    await alice.deploy(version, "leaves")
    asked = request("leaves", "FP64", explain="shap")
    asked.model_version = version
    found = tensors(await alice.inference.ModelInfer(asked))
    whole = found["explain.contributions"].sum(axis=2) + found["explain.base"]
    np.testing.assert_allclose(whole[:, 0], trees.predict(ROWS), rtol=1e-9)


async def test_an_explanation_that_makes_no_sense_is_refused_by_name(alice: Caller) -> None:
    await alice.deploy()
    for wrong, why in (
        ({"explain": "lime"}, "parameters.explain: 'lime' is not known"),
        ({"explain_samples": 3}, "parameters.explain_samples: is given without explain"),
        ({"explain": 1}, "parameters.explain: is given as int64_param"),
    ):
        with pytest.raises(Invalid, match=why):
            await alice.inference.ModelInfer(request("flights", "FP32", **wrong))
    await alice.inference.ModelInfer(request("flights", "FP32", prediction_id="p"))
    await alice.split(v1_1_0=100)
    with pytest.raises(Invalid, match="answered by version 1.0.0, and 1.1.0 would explain it; ask for version 1.0.0"):
        await alice.inference.ModelInfer(request("flights", "FP32", prediction_id="p", explain="shap"))
