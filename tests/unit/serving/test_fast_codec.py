"""The messages that are read and written by hand mean what protobuf says they mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from modelog_common.domain.errors import ModelogError
from modelog_proto.inference import grpc_predict_v2_pb2 as pb
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.oip.asked import Response
from modelog_serving.oip.fast_codec import MAX_ID, MOST_ROWS, Asked, Reader, Shape, Writer
from modelog_serving.oip.grpc_codec import request_of, to_message
from modelog_serving.oip.tensors import outputs_of

NAMES = st.sampled_from(["flights", "x", "a" * 150, "ünï"])
RAW = bytes(range(1, 17))


def message(**fields: Any) -> pb.ModelInferRequest:
    whole: dict[str, Any] = {
        "model_name": "flights",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 4]}],
        "raw_input_contents": [RAW],
    }
    return pb.ModelInferRequest(**(whole | fields))


def same_as_protobuf(reader: Reader, sent: bytes) -> Asked | None:
    """What is read by hand; checked against what the general way reads."""
    asked = reader.read(sent)
    if asked is not None:
        request = request_of(pb.ModelInferRequest.FromString(sent))
        (tensor,) = request.inputs
        shape = asked.shape
        assert (request.deployment, request.id, request.key) == (shape.deployment, asked.id, asked.key)
        assert (tensor.name, tensor.datatype, tensor.shape) == (shape.tensor, "FP32", (shape.rows, shape.width))
        assert tensor.values.tobytes() == asked.values
        assert (request.version, request.prediction_id, request.event_time_us, list(request.outputs)) == ("", "", 0, [])
    return asked


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_what_is_read_is_what_the_general_way_reads(data: st.DataObject) -> None:
    reader = Reader()
    for _ in range(3):
        rows, width = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
        values = np.array(data.draw(st.lists(st.floats(width=32), min_size=rows * width, max_size=rows * width)), "<f4")
        tensor: dict[str, Any] = {
            "name": data.draw(NAMES),
            "datatype": data.draw(st.sampled_from(["FP32", "FP32", "FP64"])),
            "shape": data.draw(st.sampled_from([[rows, width], [rows * width], [rows, width, 1]])),
        }
        fields: dict[str, Any] = {"model_name": data.draw(NAMES), "raw_input_contents": []}
        if data.draw(st.booleans()):
            fields["raw_input_contents"] = [values.tobytes()]
        else:
            tensor["contents"] = {"fp32_contents": values}
        fields["inputs"] = [tensor] * data.draw(st.sampled_from([1, 1, 1, 0, 2]))
        fields["id"] = data.draw(st.sampled_from(["", "42"]))
        if data.draw(st.booleans()):
            fields["parameters"] = {data.draw(st.sampled_from(["key", "prediction_id"])): {"string_param": "k"}}
        sent = message(**fields).SerializeToString()
        for _ in range(2):
            same_as_protobuf(reader, sent)


def test_the_usual_request_is_known_by_its_beginning() -> None:
    reader = Reader()
    first, other = (message(raw_input_contents=[raw]).SerializeToString() for raw in (RAW, RAW[::-1]))
    expected = Shape("flights", "features", 1, 4, raw=True)
    assert same_as_protobuf(reader, first) == Asked(expected, RAW)
    assert same_as_protobuf(reader, other) == Asked(expected, RAW[::-1])
    # Of the same length, and yet another one.
    renamed = message(model_name="trains!").SerializeToString()
    assert len(renamed) == len(first)
    assert same_as_protobuf(reader, renamed) == Asked(expected._replace(deployment="trains!"), RAW)
    assert same_as_protobuf(reader, first) == Asked(expected, RAW)


def test_a_message_that_only_looks_as_if_it_ended_in_its_tensor_is_read_whole() -> None:
    # Fields may come in any order, and those that nobody knows anywhere: only a beginning that protobuf itself would
    # write is remembered.
    usual = message().SerializeToString()
    unknown = b"\x9a\x06" + bytes([len(RAW)])
    reader = Reader()
    odd = usual + unknown + RAW
    assert same_as_protobuf(reader, odd) is not None
    assert same_as_protobuf(reader, usual + unknown + RAW[::-1]) == Asked(Shape("flights", "features", 1, 4, True), RAW)
    raw_first = usual[-18:] + usual[:-18]
    assert same_as_protobuf(reader, raw_first) is not None


def test_what_is_not_usual_is_left_to_the_general_way() -> None:
    reader = Reader()
    unusual: list[dict[str, Any]] = [
        {"model_name": ""},
        {"model_version": "1.0.0"},
        {"outputs": [{"name": "late"}]},
        {"id": "x" * (MAX_ID + 1)},
        {"parameters": {"prediction_id": {"string_param": "p"}}},
        {"parameters": {"key": {"int64_param": 1}}},
        {"parameters": {"key": {"string_param": "k" * (MAX_ID + 1)}}},
        {"parameters": {"key": {"string_param": "k"}, "event_time_us": {"int64_param": 1}}},
        {"raw_input_contents": [RAW, RAW]},
        {"raw_input_contents": [RAW[:15]]},
        {"raw_input_contents": []},
        {
            "inputs": [{"name": "f", "datatype": "FP32", "shape": [MOST_ROWS + 1, 1]}],
            "raw_input_contents": [bytes(4 * (MOST_ROWS + 1))],
        },
    ]
    for fields in unusual:
        assert reader.read(message(**fields).SerializeToString()) is None, fields
    assert reader.read(b"\xff\xff") is None
    for sent in (message().SerializeToString()[:n] for n in range(60)):
        try:
            same_as_protobuf(reader, sent)
        except ModelogError:
            raise AssertionError(sent) from None


SIGNATURES = [
    Signature((TensorSpec("features", "FP32", (-1, 4)),), outputs)
    for outputs in (
        (TensorSpec("late", "FP32", (-1,)),),
        (TensorSpec("p", "FP32", (-1, 3)), TensorSpec("late", "FP32", (-1, 1), ("minutes",))),
        (TensorSpec("label", "INT64", (-1,)), TensorSpec("p", "FP64", (-1, 2))),
    )
]


def test_answers_are_those_that_protobuf_writes() -> None:
    for signature in SIGNATURES:
        writer = Writer("flights", "1.0.0", "d" * 64, signature)
        for dtype in (np.float32, np.float64):
            outputs = np.arange(5 * signature.output_width).reshape(5, -1).astype(dtype)
            columns, first = writer.columns(outputs), 0
            for rows, raw, asked_id in ((1, True, ""), (3, True, "r" * 200), (1, writer.plain is False, "42")):
                ids = [f"id.{n}" for n in range(rows)]
                shape = Shape("flights", "features", rows, 4, raw)
                written = pb.ModelInferResponse.FromString(
                    writer.answer(columns, first, shape, asked_id, ",".join(ids))
                )
                tensors = outputs_of(signature, outputs[first : first + rows], ())
                response = Response("flights", asked_id, "1.0.0", "d" * 64, ids, tensors)
                assert written == to_message(response, raw=raw)
                first += rows


def test_batches_with_many_ids_are_written_right() -> None:
    writer = Writer("flights", "1.0.0", "d" * 64, SIGNATURES[0])
    rows = 1000
    outputs = np.arange(rows, dtype=np.float32).reshape(-1, 1)
    ids = [f"0190-{n}" for n in range(rows)]
    written = writer.answer(writer.columns(outputs), 0, Shape("flights", "features", rows, 4, False), "", ",".join(ids))
    tensors = outputs_of(SIGNATURES[0], outputs, ())
    expected = to_message(Response("flights", "", "1.0.0", "d" * 64, ids, tensors), raw=False)
    assert pb.ModelInferResponse.FromString(written) == expected
