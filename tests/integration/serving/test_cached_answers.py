"""A deployment with a cache answers as one without: over gRPC and REST, in the log, in the counts."""

from __future__ import annotations

from typing import Any

import aiohttp
import numpy as np
import pytest
from modelog_common.domain.errors import AlreadyExists, Forbidden, Invalid
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, Caller, Rig, answers_of, model_file

# Longer than any test.
TTL_S = 86_400
ROWS = np.random.default_rng(5).normal(size=(3, len(COLUMNS))).astype(np.float32)


async def set_cache(caller: Caller, ttl_s: int, **fields: Any) -> pb.Deployment:
    made: pb.Deployment = await caller.deployments.SetCaching(
        pb.SetCachingRequest(name="flights", ttl_s=ttl_s, **fields)
    )
    return made


async def ask(caller: Caller, rows: Any = ROWS, **parameters: str) -> tuple[list[float], dict[str, str]]:
    """The outputs, and the parameters of the answer."""
    tensor = oip.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=rows.shape)
    asked = oip.ModelInferRequest(model_name="flights", inputs=[tensor], raw_input_contents=[rows.tobytes()])
    for name, text in parameters.items():
        asked.parameters[name].string_param = text
    answer = await caller.inference.ModelInfer(asked)
    told = {name: value.string_param for name, value in answer.parameters.items()}
    return np.frombuffer(answer.raw_output_contents[0], "<f4").tolist(), told


async def ask_rest(rig: Rig, caller: Caller, version: str = "") -> tuple[list[float], dict[str, str]]:
    tensor = {"name": "features", "datatype": "FP32", "shape": ROWS.shape, "data": ROWS.reshape(-1).tolist()}
    path = f"/v2/models/flights{version and f'/versions/{version}'}/infer"
    async with (
        aiohttp.ClientSession(rig.http, headers={"authorization": f"Bearer {caller.token}"}) as http,
        http.post(path, json={"inputs": [tensor]}) as response,
    ):
        assert response.status == 200, await response.text()
        answer = await response.json()
    return answer["outputs"][0]["data"], answer["parameters"]


def is_of(seed: int, outputs: list[float]) -> bool:
    return bool(np.allclose(outputs, answers_of(model_file(seed), ROWS), rtol=1e-6))


async def test_answers_given_again_are_the_same_on_every_way_and_are_logged_and_counted(
    rig: Rig, alice: Caller
) -> None:
    await alice.deploy()
    before, _ = await ask(alice)
    made = await set_cache(alice, TTL_S, reason="the same flights all day")
    assert (made.caching.ttl_s, made.caching.max_bytes) == (TTL_S, 64 << 20)
    answers = [await ask(alice), await ask(alice), await ask_rest(rig, alice), await ask_rest(rig, alice)]
    assert [told.pop("cached", "") for _, told in answers] == ["", "true", "true", "true"]
    assert [len(outputs) for outputs, _ in answers] == [3] * 4
    for outputs, told in answers:
        np.testing.assert_array_equal(np.float32(outputs), np.float32(before))
        assert (told["version"], len(told["model_digest"])) == ("1.0.0", 64)
    ids = [prediction_id for _, told in answers for prediction_id in told["prediction_ids"].split(",")]
    assert len(set(ids)) == 12
    logged = [
        await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="flights", prediction_id=each))
        for each in ids
    ]
    assert [prediction.outputs[0] for prediction in logged] == before * 4
    assert all(dict(p.features) == dict(logged[n % 3].features) for n, p in enumerate(logged))
    found = await alice.deployment()
    assert (found.caching.hits, found.caching.misses) == (3, 1)
    assert found.variants[0].answered == 15
    # What the process counts is of now and not of then.
    past = await alice.deployment(as_of=str(found.position))
    assert (past.caching.ttl_s, past.caching.hits, past.caching.misses) == (TTL_S, 0, 0)


async def test_each_version_gives_its_own_answers_and_one_by_its_number_is_computed(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    await set_cache(alice, TTL_S)
    assert [(await ask(alice))[1].get("cached") for _ in range(2)] == [None, "true"]
    await alice.split(v1_1_0=100)
    for cached in (None, "true"):
        outputs, told = await ask(alice)
        assert is_of(1, outputs)
        assert (told["version"], told.get("cached")) == ("1.1.0", cached)
    outputs, told = await ask_rest(rig, alice, "1.0.0")
    assert is_of(0, outputs)
    assert "cached" not in told
    await alice.split(v1_0_0=100)
    outputs, told = await ask(alice)
    assert is_of(0, outputs)
    assert told["cached"] == "true"


async def test_a_prediction_id_an_explanation_and_a_mistake_are_as_without_a_cache(alice: Caller) -> None:
    await alice.deploy()
    await set_cache(alice, TTL_S)
    wrong = ROWS.copy()
    wrong[0, 0] = np.inf
    for _ in range(2):
        with pytest.raises(Invalid, match="row 0, column 'hour' is infinite"):
            await ask(alice, wrong)
    for _ in range(2):
        assert "cached" not in (await ask(alice, explain="shap"))[1]
    assert not (await alice.deployment()).caching.misses
    first, told = await ask(alice, prediction_id="p1")
    # The same id is answered from the log.
    again, told_again = await ask(alice, prediction_id="p1")
    assert (again, told_again) == (first, told)
    with pytest.raises(AlreadyExists, match="was already answered for other features"):
        await ask(alice, ROWS + np.float32(1), prediction_id="p1")
    assert (await ask(alice, prediction_id="p2"))[1]["cached"] == "true"


async def test_a_cache_turned_off_and_on_again_is_empty_and_only_who_may_sets_it(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    await set_cache(alice, TTL_S)
    await ask(alice)
    assert not (await set_cache(alice, 0)).HasField("caching")
    assert "cached" not in (await ask(alice))[1]
    await set_cache(alice, TTL_S)
    assert [(await ask(alice))[1].get("cached") for _ in range(2)] == [None, "true"]
    with pytest.raises(Forbidden):
        await set_cache(rig.caller("vera", "viewer"), 1)
    with pytest.raises(Invalid, match="max_bytes: is 100; it must be from 65536"):
        await set_cache(alice, TTL_S, max_bytes=100)
    with pytest.raises(Invalid, match="ttl_s"):
        await set_cache(alice, 2_592_001)
