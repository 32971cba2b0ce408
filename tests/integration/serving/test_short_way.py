"""The short way of ModelInfer: usual requests go it together, get the servicer's answers, are logged and counted."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import numpy as np
import pytest
from modelog_common.domain.errors import Invalid, NotAllowed, Overloaded, Unavailable
from modelog_common.telemetry import traces
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_serving.engine import batcher as batcher_module
from modelog_serving.predlog.log import PredictionLog
from numpy.typing import NDArray
from opentelemetry.trace import NoOpTracer
from serving_rig import COLUMNS, Caller, Rig, answers_of, model_file
from structlog.testing import capture_logs

pytestmark = pytest.mark.usefixtures("every_level")
ROWS = np.random.default_rng(11).normal(size=(30, len(COLUMNS))).astype(np.float32)
# Who traces the call wants a span of its own: the servicer answers.
THE_SERVICERS = (("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-00"),)


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ran in this process before may have begun to send traces along with calls."""
    monkeypatch.setattr(traces, "tracer", NoOpTracer())


def request(rows: NDArray[np.float32], *, raw: bool = True, key: str = "", **fields: Any) -> oip.ModelInferRequest:
    tensor: dict[str, Any] = {"name": "features", "datatype": "FP32", "shape": rows.shape}
    made = oip.ModelInferRequest(model_name="flights", **fields)
    if raw:
        made.raw_input_contents.append(rows.tobytes())
    else:
        tensor["contents"] = {"fp32_contents": rows.reshape(-1).tolist()}
    made.inputs.append(oip.ModelInferRequest.InferInputTensor(**tensor))
    if key:
        made.parameters["key"].string_param = key
    return made


def without_ids(answer: oip.ModelInferResponse) -> oip.ModelInferResponse:
    kept = oip.ModelInferResponse()
    kept.CopyFrom(answer)
    for name in ("prediction_id", "prediction_ids"):
        kept.parameters.pop(name, None)
    return kept


def ids_of(answer: oip.ModelInferResponse) -> list[str]:
    told = {name: value.string_param for name, value in answer.parameters.items()}
    return (told.get("prediction_id") or told["prediction_ids"]).split(",")


def calls(logs: list[Any]) -> list[int]:
    """How many requests each batch answered."""
    return [int(entry["calls"]) for entry in logs if entry["event"] == "calls"]


async def test_both_ways_answer_and_log_alike(alice: Caller) -> None:
    await alice.deploy()
    await alice.split(v1_0_0=50, v1_1_0=50)
    asked = [
        request(ROWS[:1], key="k1"),
        request(ROWS[1:2], raw=False, id="r1"),
        request(ROWS[:7], key="k2", id="r2"),
        request(ROWS[3:9], raw=False, key="k3"),
        request(np.full((1, 4), np.nan, np.float32), key="k1"),
    ]
    for each in asked:
        with capture_logs() as logs:
            short = await alice.inference.ModelInfer(each)
        assert calls(logs) == [1]
        with capture_logs() as logs:
            long = await alice.inference.ModelInfer(each, metadata=THE_SERVICERS)
        assert calls(logs) == []
        assert without_ids(short) == without_ids(long)
        assert len(ids_of(short)) == len(ids_of(long)) == each.inputs[0].shape[0]
        for one, other in zip(ids_of(short), ids_of(long), strict=True):
            found = [await _logged(alice, prediction_id) for prediction_id in (one, other)]
            for each_found in found:
                each_found.prediction_id = ""
                each_found.ClearField("event_time")
                each_found.ClearField("answered_at")
            np.testing.assert_equal(*[dict(prediction.features) for prediction in found])
            for each_found in found:
                each_found.ClearField("features")
            assert found[0] == found[1]
    counted = {v.version: v.answered for v in (await alice.deployment()).variants}
    assert sum(counted.values()) == 2 * sum(each.inputs[0].shape[0] for each in asked)


async def _logged(alice: Caller, prediction_id: str) -> pb.Prediction:
    asked = pb.GetPredictionRequest(deployment="flights", prediction_id=prediction_id)
    found: pb.Prediction = await alice.deployments.GetPrediction(asked)
    return found


async def test_what_comes_at_once_is_answered_at_once_and_one_that_is_wrong_spoils_nothing(alice: Caller) -> None:
    await alice.deploy()
    infinite, narrow = ROWS[:1].copy(), ROWS[:1, :3].copy()
    infinite[0, 1] = np.inf
    sent = [request(ROWS[n : n + 1]) for n in range(30)]
    sent[5:5] = [request(infinite), request(narrow)]
    with capture_logs() as logs:
        answers = await asyncio.gather(*map(alice.inference.ModelInfer, sent), return_exceptions=True)
    wrong, shape = answers[5:7]
    del answers[5:7]
    assert isinstance(wrong, Invalid)
    assert str(wrong).startswith("inputs: row 0, column 'wind' is infinite")
    assert isinstance(shape, Invalid)
    assert str(shape).startswith("inputs[0].shape: 'features' has shape [1, 3]; expected [rows, 4]")
    found = [float(np.frombuffer(answer.raw_output_contents[0], "<f4")[0]) for answer in answers]
    np.testing.assert_allclose(found, answers_of(model_file(0), ROWS), rtol=1e-6)
    assert len({prediction_id for answer in answers for prediction_id in ids_of(answer)}) == 30
    assert sum(calls(logs)) == 30
    assert len(calls(logs)) < 30
    assert (await alice.deployment()).variants[0].answered == 30


async def test_keys_stay_with_their_version_whichever_way_they_come(alice: Caller) -> None:
    await alice.deploy()
    await alice.split(v1_0_0=50, v1_1_0=50)
    sent = [request(ROWS[:1], key=f"k{n}") for n in range(40)]
    short = await asyncio.gather(*map(alice.inference.ModelInfer, sent))
    long = await asyncio.gather(*(alice.inference.ModelInfer(each, metadata=THE_SERVICERS) for each in sent))
    assert [answer.model_version for answer in short] == [answer.model_version for answer in long]
    assert {answer.model_version for answer in short} == {"1.0.0", "1.1.0"}


async def test_callers_are_told_apart_in_one_turn(rig: Rig, alice: Caller) -> None:
    await alice.deploy()
    stranger, other = rig.caller("eve", "stranger"), rig.caller("mallory", tenant="other")
    with capture_logs() as logs:
        answers = await asyncio.gather(
            *(who.inference.ModelInfer(request(ROWS[:1])) for who in (alice, stranger, other, rig.caller("bob"))),
            return_exceptions=True,
        )
    assert [type(answer).__name__ for answer in answers] == [
        "ModelInferResponse",
        "Forbidden",
        "NotFound",
        "ModelInferResponse",
    ]
    assert {entry["user"] for entry in logs if entry["event"] == "calls"} == {"alice", "bob"}


async def test_a_log_that_cannot_be_written_lets_nothing_be_answered(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.deploy()

    def no_space(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full(*_: Any) -> Any:
        raise Unavailable("the prediction log cannot be written: it is full; nothing was stored")

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", no_space)
        broken.setattr(PredictionLog, "_commit", full)
        answers = await asyncio.gather(
            *(alice.inference.ModelInfer(request(ROWS[:1])) for _ in range(5)), return_exceptions=True
        )
    assert [type(answer) for answer in answers] == [Unavailable] * 5
    assert (await alice.deployment()).variants[0].answered == 0
    await alice.inference.ModelInfer(request(ROWS[:1]))


async def test_too_many_are_refused_with_when_to_come_again(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    await alice.deploy()
    with monkeypatch.context() as small:
        small.setattr(batcher_module, "MOST_WAITING", 0)
        with pytest.raises(Overloaded, match="0 requests wait for an answer already"):
            await alice.inference.ModelInfer(request(ROWS[:1]))
        with pytest.raises(Overloaded, match="0 requests wait for an answer already"):
            await alice.inference.ModelInfer(request(ROWS[:1]), metadata=THE_SERVICERS)
    await alice.inference.ModelInfer(request(ROWS[:1]))


async def test_a_changed_route_holds_from_the_next_turn_on(alice: Caller) -> None:
    await alice.deploy()
    assert (await alice.inference.ModelInfer(request(ROWS[:1]))).model_version == "1.0.0"
    await alice.split(v1_1_0=100)
    assert (await alice.inference.ModelInfer(request(ROWS[:1]))).model_version == "1.1.0"
    await alice.deployments.StopDeployment(pb.StopDeploymentRequest(name="flights"))
    with pytest.raises(NotAllowed, match="was stopped; it answers no requests"):
        await alice.inference.ModelInfer(request(ROWS[:1]))
