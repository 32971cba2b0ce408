"""Texts in and out, by every way to serving, into the log and out of it: sealed, proven, replayed."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from aiohttp import ClientSession
from modelog.replay import Replayed, ReplayReport
from modelog.types.serving import ReplayPage
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.serving.v1 import deployment_pb2 as pb
from serving_rig import COLUMNS, Caller, Rig, model_file, registry_of, serving_of

SPEC = model_pb2.TensorSpec
TEXTS = ["the flight is late", "für Zoë ✈", "", "a\0b"]
HOURS = [7.0, 0.1, 23.5, 1.0]
SIGNED = model_pb2.Signature(
    inputs=[
        SPEC(name="note", datatype="BYTES", shape=[-1, 1], columns=["note"]),
        SPEC(name="hour", datatype="FP64", shape=[-1, 1], columns=["hour"]),
    ],
    outputs=[SPEC(name="label", datatype="BYTES", shape=[-1]), SPEC(name="score", datatype="FP64", shape=[-1])],
)


def model(unlike: str = "late") -> bytes:
    """A function of a table: what it answers tells of every byte of the text."""

    def answer(table: Any) -> dict[str, Any]:
        return {
            "label": [text[::-1] + ("!" if unlike in text else "") for text in table["note"]],
            "score": [len(text.encode()) + hour for text, hour in zip(table["note"], table["hour"], strict=True)],
        }

    return cloudpickle.dumps(answer)


LABELS = [text[::-1] + ("!" if "late" in text else "") for text in TEXTS]
SCORES = [len(text.encode()) + hour for text, hour in zip(TEXTS, HOURS, strict=True)]


@pytest.fixture(params=["own", "grpcio"])
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with registry_of(Rig(tmp_path)) as made, serving_of(made, grpc_edge=request.param):
        yield made


async def version_of(rig: Rig, content: bytes, flavor: str = "python_function", **fields: Any) -> str:
    alice, bob = rig.caller("alice"), rig.caller("bob")
    version = await alice.version(content, flavor=flavor, **{"signed": SIGNED, **fields})
    await bob.approve(version)
    await alice.promote(version, "staging")
    return version


@pytest.fixture
async def served(rig: Rig, alice: Caller) -> str:
    version = await version_of(rig, model())
    await alice.deploy(version, "notes")
    return version


def raw(texts: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


def request(texts: list[str] = TEXTS, prediction_id: str = "", **fields: Any) -> oip.ModelInferRequest:
    hours = HOURS[: len(texts)]
    message = oip.ModelInferRequest(
        model_name="notes",
        inputs=[
            {"name": "note", "datatype": "BYTES", "shape": [len(texts), 1],
             "contents": {"bytes_contents": [text.encode() for text in texts]}},
            {"name": "hour", "datatype": "FP64", "shape": [len(texts), 1], "contents": {"fp64_contents": hours}},
        ],
    )  # fmt: skip
    if prediction_id:
        message.parameters["prediction_id"].string_param = prediction_id
    return message


def raw_request(*contents: bytes) -> oip.ModelInferRequest:
    message = request()
    for tensor in message.inputs:
        tensor.ClearField("contents")
    message.raw_input_contents.extend(contents)
    return message


@pytest.mark.usefixtures("served")
async def test_over_grpc_in_contents_and_raw(alice: Caller) -> None:
    answer = await alice.inference.ModelInfer(request())
    label, score = answer.outputs
    assert (label.datatype, list(label.shape)) == ("BYTES", [4])
    assert [each.decode() for each in label.contents.bytes_contents] == LABELS
    assert list(score.contents.fp64_contents) == SCORES
    answer = await alice.inference.ModelInfer(raw_request(raw(TEXTS), np.array(HOURS).tobytes()))
    assert answer.raw_output_contents[0] == raw(LABELS)
    assert answer.raw_output_contents[1] == np.array(SCORES).tobytes()
    config = (await alice.inference.ModelConfig(oip.ModelConfigRequest(name="notes"))).config
    assert [oip.DataType.Name(each.data_type) for each in config.input] == ["TYPE_STRING", "TYPE_FP64"]


@pytest.mark.usefixtures("served")
async def test_over_rest_in_json_and_in_binary(rig: Rig, alice: Caller) -> None:
    headers = {"authorization": f"Bearer {alice.token}"}
    notes = {"name": "note", "datatype": "BYTES", "shape": [4]}
    hours = {"name": "hour", "datatype": "FP64", "shape": [4], "data": HOURS}
    async with ClientSession(rig.http, headers=headers) as session:
        body: dict[str, Any] = {"inputs": [notes | {"data": TEXTS}, hours]}
        async with session.post("/v2/models/notes/infer", json=body) as response:
            label, score = (await response.json())["outputs"]
        assert (label["data"], score["data"]) == (LABELS, SCORES)
        behind = raw(TEXTS)
        body["inputs"] = [notes | {"parameters": {"binary_data_size": len(behind)}}, hours]
        body["outputs"] = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "score"}]
        head = json.dumps(body).encode()
        length = {"Inference-Header-Content-Length": str(len(head))}
        async with session.post("/v2/models/notes/infer", data=head + behind, headers=length) as response:
            whole, size = await response.read(), int(response.headers["Inference-Header-Content-Length"])
        label, score = json.loads(whole[:size])["outputs"]
        assert whole[size:] == raw(LABELS)
        assert (label["parameters"], score["data"]) == ({"binary_data_size": len(raw(LABELS))}, SCORES)
        instances = [{"note": text, "hour": hour} for text, hour in zip(TEXTS, HOURS, strict=True)]
        predictions = [{"label": label, "score": score} for label, score in zip(LABELS, SCORES, strict=True)]
        for path in ("/v1/models/notes/predict", "/invocations", "/v1/models/notes:predict"):
            async with session.post(path, json={"instances": instances}) as response:
                assert (await response.json())["predictions"] == predictions, path
        split = {"columns": ["hour", "note"], "data": [[hour, text] for hour, text in zip(HOURS, TEXTS, strict=True)]}
        async with session.post("/invocations", json={"dataframe_split": split}) as response:
            assert (await response.json())["predictions"] == predictions
        text = 'hour,note\n7,the flight is late\n0.1,"für ""Zoë"", 12"\n'
        async with session.post("/invocations", data=text.encode(), headers={"content-type": "text/csv"}) as response:
            found = (await response.json())["predictions"]
        assert [each["label"] for each in found] == [LABELS[0], '21 ,"ëoZ" rüf']


@pytest.mark.usefixtures("served")
async def test_what_is_wrong_with_a_text_is_named(rig: Rig, alice: Caller) -> None:
    hours = np.array(HOURS).tobytes()
    for sent, said in (
        (
            raw_request(raw(TEXTS)[:-1], hours),
            r"raw_input_contents\[0\]: element 3 has 3 bytes by its length; 2 are left",
        ),
        (raw_request(raw(TEXTS) + b"\1", hours), r"raw_input_contents\[0\]: ends within the length of element 4"),
        (raw_request(raw(TEXTS[:3]), hours), r"raw_input_contents\[0\]: has 3 elements; the shape takes 4"),
        (raw_request(raw(TEXTS[:3]) + b"\2\0\0\0\xff\xfe", hours), r"raw_input_contents\[0\]\[3\]: is not UTF-8"),
        (request(["x"] * 5), r"fp64_contents: has 4 values"),
    ):
        with pytest.raises(Invalid, match=said):
            await alice.inference.ModelInfer(sent)
    sent = request()
    sent.inputs[0].contents.bytes_contents[2] = b"\xff"
    with pytest.raises(Invalid, match=r"inputs\[0\].contents.bytes_contents\[2\]: is not UTF-8"):
        await alice.inference.ModelInfer(sent)
    sent = request(prediction_id="p")
    sent.parameters["explain"].string_param = "shap"
    with pytest.raises(Invalid, match=r"parameters.explain: explains numbers; this model has the texts 'note'"):
        await alice.inference.ModelInfer(sent)
    headers = {"authorization": f"Bearer {alice.token}"}
    async with ClientSession(rig.http, headers=headers) as session:
        for instance, said in (
            ({"note": 5, "hour": 1}, "5 is not allowed; it must be a text"),
            ({"note": None, "hour": 1}, "None is not allowed; it must be a text"),
            ({"note": "x", "hour": "1"}, "'1' is not allowed; it must be a number, or null if missing"),
        ):
            async with session.post("/v1/models/notes/predict", json={"instances": [instance]}) as response:
                assert (response.status, said in await response.text()) == (400, True), await response.text()


@pytest.mark.usefixtures("served")
async def test_the_same_id_is_answered_from_the_log_and_another_text_is_refused(alice: Caller) -> None:
    first = await alice.inference.ModelInfer(request(prediction_id="p"))
    assert await alice.inference.ModelInfer(request(prediction_id="p")) == first
    with pytest.raises(AlreadyExists, match="was already answered for other features"):
        await alice.inference.ModelInfer(request(["other", *TEXTS[1:]], prediction_id="p"))
    found = await alice.deployments.GetPrediction(pb.GetPredictionRequest(deployment="notes", prediction_id="p.1"))
    assert dict(found.texts) == {"note": TEXTS[1]}
    assert (found.features["hour"], np.isnan(found.features["note"])) == (HOURS[1], True)
    assert (list(found.output_texts), found.outputs[1]) == ([LABELS[1], ""], SCORES[1])


async def replayed(alice: Caller, candidate: str = "", **asked: Any) -> ReplayReport:
    page = await alice.deployments.ReplayPredictions(
        pb.ReplayPredictionsRequest(deployment="notes", candidate=candidate, **asked)
    )
    gathered = Replayed("notes", candidate, asked.get("slice", ""))
    gathered.add(
        ReplayPage(
            prediction_ids=list(page.prediction_ids), versions=list(page.versions), logged=list(page.logged),
            replayed=list(page.replayed), slice_values=list(page.slice_values),
            logged_texts=list(page.logged_texts), replayed_texts=list(page.replayed_texts),
        )
    )  # fmt: skip
    return gathered.report()


@pytest.mark.usefixtures("served")
async def test_replayed_they_are_the_same_and_another_version_is_compared(rig: Rig, alice: Caller) -> None:
    await alice.inference.ModelInfer(request())
    await alice.inference.ModelInfer(request(TEXTS[:1]))
    same = await replayed(alice, slice="hour")
    assert (same.identical, same.whole.count, same.whole.changed) == (True, 5, 0.0)
    other = await replayed(alice, await version_of(rig, model(unlike="Zoë")))
    # Of five answers three have another label, one of two outputs; the scores are the same.
    assert (other.identical, other.whole.changed, other.whole.largest) == (False, 0.6, 0.5)
    with pytest.raises(Invalid, match="slice: 'note' is a text; slices are of numbers"):
        await replayed(alice, slice="note")


async def test_who_is_of_numbers_refuses_a_signature_with_texts(alice: Caller) -> None:
    inputs = [SPEC(name="features", datatype="BYTES", shape=[-1, len(COLUMNS)], columns=COLUMNS)]
    signed = model_pb2.Signature(inputs=inputs, outputs=[SPEC(name="late", datatype="FP32", shape=[-1])])
    version = await alice.version(model_file(0), signed=signed)
    with pytest.raises(
        NotAllowed, match="has the texts 'features'; models of flavor 'xgboost' are served with numbers"
    ):
        await alice.deploy(version)
