"""REST's usual bodies that are read and written apart from the others mean, and are, what the general way makes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from modelog_common.domain.errors import ModelogError
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.oip import rest_codec
from modelog_serving.oip.asked import MAX_ID, Response
from modelog_serving.oip.binary import Form
from modelog_serving.oip.fast_codec import MOST_ROWS, Asked, Shape
from modelog_serving.oip.fast_rest_codec import RestWriter, read
from modelog_serving.oip.tensors import DTYPES, dtype_of_rows, infinite, matrix_of, outputs_of

NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-300, 300),
    st.sampled_from([None, True, "1", [1.0], 2**53, 2**53 + 1, 2**60 + 1, 2**64, 10**400, 1e39]),
)
USUAL = st.one_of(st.floats(-100, 100), st.integers(0, 100))


def body(**fields: Any) -> dict[str, Any]:
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 4], "data": [1, 2.5, None, 4]}
    return {"inputs": [tensor | fields]}


def same_as_the_general_way(sent: bytes, json_length: str = "") -> Asked | None:
    """What is read here; checked against what the general way reads, and how it makes rows of it."""
    asked = read("flights", sent, json_length)
    if asked is None:
        return None
    request, form = rest_codec.request_of("flights", "", sent, json_length)
    shape = asked.shape
    (tensor,) = request.inputs
    assert (request.deployment, request.id, request.key) == (shape.deployment, asked.id, asked.key)
    assert (tensor.name, tensor.datatype, tensor.shape) == (shape.tensor, shape.datatype, (shape.rows, shape.width))
    assert form == Form(shape.raw)
    assert (request.version, request.prediction_id, request.event_time_us, list(request.outputs)) == ("", "", 0, [])
    assert request.explain is None
    signature = Signature((TensorSpec(tensor.name, tensor.datatype, (-1, shape.width)),), ())
    rows = np.frombuffer(asked.values, dtype_of_rows(signature))
    if infinite(rows).any():
        # It is looked for when the rows of all are computed.
        with pytest.raises(ModelogError, match="infinite"):
            matrix_of(signature, request.inputs)
    else:
        assert matrix_of(signature, request.inputs).tobytes() == asked.values
    return asked


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    """Nearly a usual body, and the header that goes with it."""
    rows, width = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    datatype = draw(st.sampled_from(["FP32", "FP32", *DTYPES, "BYTES"]))
    numbers = draw(st.sampled_from([USUAL, NUMBERS]))
    values = draw(st.lists(numbers, min_size=rows * width, max_size=rows * width))
    tensor: dict[str, Any] = {
        "name": draw(st.sampled_from(["features", "x", ""])),
        "datatype": datatype,
        "shape": draw(st.sampled_from([[rows, width]] * 4 + [[rows * width], [rows, width, 1], [rows, -width]])),
    }
    made: dict[str, Any] = {"inputs": [tensor] * draw(st.sampled_from([1, 1, 1, 1, 0, 2]))}
    if draw(st.booleans()):
        made["id"] = draw(st.sampled_from(["", "42", "ü\ud83d\ude00"]))
    made |= draw(st.sampled_from([{}, {"outputs": []}, {"outputs": [{"name": "late"}]}, {"more": 1}]))
    parameters = st.sampled_from(
        [("key", "k"), ("key", ""), ("key", 1), ("binary_data_output", True), ("binary_data_output", 1), ("other", 1)]
    )
    made["parameters"] = dict(draw(st.lists(parameters, max_size=2)))
    data = b""
    if draw(st.booleans()):
        dtype = DTYPES.get(datatype, DTYPES["FP32"])
        data = draw(st.binary(min_size=rows * width * dtype.itemsize, max_size=rows * width * dtype.itemsize))
        tensor["parameters"] = {"binary_data_size": len(data) + draw(st.sampled_from([0, 0, 0, 1]))}
    else:
        nested = [values[row * width : (row + 1) * width] for row in range(rows)]
        tensor["data"] = draw(st.sampled_from([values, nested, nested[:-1], [*nested, 1]]))
    head = json.dumps(made).encode()
    length = len(head) + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
    return head + data, draw(st.sampled_from(["", "x", "0", "9" * 30])) if not data else str(length)


@settings(deadline=None, max_examples=400)
@given(bodies())
def test_what_is_read_is_what_the_general_way_reads(given_body: tuple[bytes, str]) -> None:
    same_as_the_general_way(*given_body)


def test_every_usual_body_is_read() -> None:
    values = np.array([1, 2.5, np.nan, 4], "<f4").tobytes()
    expected = Shape("flights", "features", 1, 4, raw=False)
    assert same_as_the_general_way(json.dumps(body()).encode()) == Asked(expected, values)
    nested = body(data=[[1, 2.5, None, 4]]) | {"id": "42", "parameters": {"key": "k"}}
    assert same_as_the_general_way(json.dumps(nested).encode()) == Asked(expected, values, "42", "k")
    for datatype, dtype in DTYPES.items():
        numbers: list[Any] = [True, False, True, True] if datatype == "BOOL" else [1, 2, 3, 4]
        assert same_as_the_general_way(json.dumps(body(datatype=datatype, data=numbers)).encode()) is not None
        raw = np.array(numbers, dtype).tobytes()
        told = body(datatype=datatype, data=[], parameters={"binary_data_size": len(raw)})
        head = json.dumps(told | {"parameters": {"binary_data_output": True}}).encode()
        asked = same_as_the_general_way(head + raw, str(len(head)))
        assert asked is not None
        assert asked.shape.raw
        # Without its length the body is not JSON.
        assert read("flights", head + raw, "") is None


def test_what_is_not_usual_is_left_to_the_general_way() -> None:
    unusual: list[Any] = [
        [],
        body() | {"outputs": [{"name": "late"}]},
        body() | {"id": "x" * (MAX_ID + 1)},
        body() | {"parameters": {"prediction_id": "p"}},
        body() | {"parameters": {"explain": "shap"}},
        body() | {"parameters": {"key": "k" * (MAX_ID + 1)}},
        body(data=[1, 2, 3]),
        body(data=[1, 2, 3, "4"]),
        body(data=[1, 2, 3, True]),
        body(data=[1, 2, 3, 10**400]),
        body(data=[[1, 2], [3, 4]]),
        body(data=[[1, 2, 3, 4], 5]),
        body(shape=[4, -1]),
        body(shape=[4]),
        body(shape=[MOST_ROWS + 1, 1], data=[0] * (MOST_ROWS + 1)),
        body(datatype="INT64", data=[2**53 + 1, 0, 0, 0]),
        body(datatype="INT8", data=[300, 0, 0, 0]),
        body(parameters={"shared_memory_region": "r"}),
    ]
    for fields in unusual:
        assert read("flights", json.dumps(fields).encode(), "") is None, fields
    deep = b'{"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": ' + b"[" * 100_000
    for sent in (b"", b"\xff", b'{"inputs": [{"name": "\xff"}]}', b'{"id": "\\ud800", "inputs": []}', deep):
        assert read("flights", sent, "") is None
    usual = json.dumps(body()).encode()
    for length in ("0", str(len(usual) + 1), "-1", "9" * 19, "9" * 30):
        assert read("flights", usual, length) is None


SIGNATURES = [
    Signature((TensorSpec("features", "FP32", (-1, 4)),), outputs)
    for outputs in (
        (TensorSpec("late", "FP32", (-1,)),),
        (TensorSpec('"p', "FP32", (-1, 3)), TensorSpec("late", "FP32", (-1, 1), ("minutes",))),
        (TensorSpec("label", "INT64", (-1,)), TensorSpec("p", "FP64", (-1, 2))),
        (TensorSpec("is", "BOOL", (-1,)), TensorSpec("p", "FP16", (-1, 2, 2))),
    )
]
FLOATS = st.floats(width=32)


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(SIGNATURES), st.sampled_from(["", "42", 'r"\n', "ü"]), st.booleans(), st.booleans())
@example(None, SIGNATURES[0], "", False, False)
def test_answers_are_the_bytes_that_the_general_way_writes(
    data: st.DataObject | None, signature: Signature, asked_id: str, is_binary: bool, is_double: bool
) -> None:
    writer = RestWriter('fl"ights', "1.0.0", "d" * 64, signature)
    kinds = {spec.datatype for spec in signature.outputs}
    whole = bool(kinds & {"INT64", "BOOL"})
    count = 5 * signature.output_width
    numbers: list[Any] = [0.1] * count
    if data is not None:
        each = st.integers(-2, 2) if whole else FLOATS
        numbers = data.draw(st.lists(each, min_size=count, max_size=count))
    with np.errstate(over="ignore"):
        outputs = np.array(numbers, np.float64 if is_double else np.float32).reshape(5, -1)
        write, first = writer.begin(outputs), 0
        for rows in (1, 3, 1):
            ids = [f"id.{n}" for n in range(rows)]
            answer = write(first, Shape("x", "features", rows, 4, is_binary), asked_id, ",".join(ids))
            tensors = outputs_of(signature, outputs[first : first + rows], ())
            response = Response('fl"ights', asked_id, "1.0.0", "d" * 64, ids, tensors)
            assert answer == rest_codec.to_answer(response, Form(is_binary))
            if not is_binary:
                assert msgspec.json.decode(answer.body)["id"] == asked_id
            first += rows
