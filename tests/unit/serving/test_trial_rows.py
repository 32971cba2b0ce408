"""The rows that a version is asked when it is tried, and what is found wrong with its answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from modelog_common.domain.errors import Invalid
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.choice import TOLERANCE, difference
from modelog_serving.trying.attempt import unfit
from modelog_serving.trying.rows import drawn, recorded, with_missing

NUMBERS = Signature(
    (
        TensorSpec("table", "FP32", (-1, 2), ("hour", "wind"), ("numeric", "categorical")),
        TensorSpec("late", "BOOL", (-1,)),
        TensorSpec("seats", "INT8", (-1,)),
    ),
    (TensorSpec("minutes", "FP32", (-1,)),),
)
TEXTS = Signature((TensorSpec("note", "BYTES", (-1,)), TensorSpec("hour", "INT32", (-1,))), NUMBERS.outputs)
WHOLE = np.array([[1.0], [2.0]])


def test_rows_are_drawn_as_the_signature_says_and_always_alike() -> None:
    rows = drawn(NUMBERS)
    np.testing.assert_array_equal(rows, drawn(NUMBERS))
    assert (rows.shape, rows.dtype) == ((64, 4), np.float32)
    assert not rows[0].any()
    assert set(rows[:, 1]) == {0, 1, 2}
    assert set(rows[:, 2]) == {0, 1}
    assert set(rows[:, 3]) <= set(range(10))
    assert not np.isnan(rows).any()


def test_numbers_with_a_fraction_may_miss_and_no_others() -> None:
    missing = with_missing(drawn(NUMBERS), NUMBERS)
    assert missing is not None
    assert list(np.isnan(missing).any(axis=0)) == [True, True, False, False]
    assert with_missing(drawn(TEXTS), TEXTS) is None


def test_texts_are_drawn_beside_numbers() -> None:
    rows = drawn(TEXTS)
    assert {type(cell) for cell in rows[:, 0]} == {str}
    assert {type(cell) for cell in rows[:, 1]} == {float}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("input_example.json", {"columns": ["hour", "wind"], "data": [[1.0, None], [2.0, 0.5]]}),
        ("input_example.json", {"hour": [1.0, 2.0], "wind": [None, 0.5]}),
        ("input_example.json", [[1.0, None], [2.0, 0.5]]),
        (
            "serving_input_example.json",
            {"dataframe_split": {"columns": ["wind", "hour"], "data": [[None, 1], [0.5, 2]]}},
        ),
        ("serving_input_example.json", {"inputs": [[1.0, None], [2.0, 0.5]]}),
    ],
)
def test_an_example_is_read_as_mlflow_writes_it(name: str, content: Any) -> None:
    table = Signature((TensorSpec("table", "FP32", (-1, 2), ("hour", "wind")),), NUMBERS.outputs)
    found = recorded(name, json.dumps(content).encode(), table)
    assert found.name == name
    np.testing.assert_array_equal(found.rows, np.array([[1, np.nan], [2, 0.5]], np.float32))


@pytest.mark.parametrize("content", [b"", b"{", b'"text"', b'{"columns": 1, "data": []}', b'{"other": [1]}'])
def test_what_is_no_example_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        recorded("input_example.json", content, NUMBERS)


@pytest.mark.parametrize(
    ("datatype", "answers", "wrong"),
    [
        ("FP32", WHOLE, ""),
        ("INT8", WHOLE, ""),
        ("FP32", WHOLE[:1], "it answers 2 rows with float64 of shape [1, 1]; its signature says [2, 1] numbers"),
        ("FP32", WHOLE.astype(int), "it answers 2 rows with int64 of shape [2, 1]; its signature says [2, 1] numbers"),
        ("INT8", WHOLE * 100, "its output 'minutes' is 200, which is no INT8"),
        ("INT8", WHOLE / 2, "its output 'minutes' is 0.5, which is no INT8"),
        ("BOOL", WHOLE, "its output 'minutes' is 2, which is no BOOL"),
        ("FP16", WHOLE * 50_000, "its output 'minutes' is 100000, which is no FP16"),
        ("FP32", WHOLE * np.nan, ""),
        ("BYTES", np.array([["a"], ["b"]], object), ""),
        ("BYTES", np.array([[1.0], [2.0]], object), "its output 'minutes' is no text, and signed as BYTES"),
    ],
)
def test_answers_are_held_against_the_signature(datatype: str, answers: Any, wrong: str) -> None:
    signed = Signature(NUMBERS.inputs, (TensorSpec("minutes", datatype, (-1,)),))
    assert unfit(signed, answers, 2) == wrong


@pytest.mark.parametrize(
    ("found", "wanted", "largest"),
    [
        ([[1.0, np.nan]], [[1.0, np.nan]], 0.0),
        ([[np.inf]], [[np.inf]], 0.0),
        ([[1000.5]], [[1000.0]], 0.0005),
        ([[0.2]], [[0.1]], 0.1),
        ([[1.0]], [[np.nan]], np.inf),
        ([[1.0]], [[np.inf]], np.inf),
        ([[1.0]], [[1.0, 2.0]], np.inf),
    ],
)
def test_a_difference_is_relative_to_what_is_large(found: Any, wanted: Any, largest: float) -> None:
    seen = difference(np.array(found), np.array(wanted))
    assert seen.largest == pytest.approx(largest)
    assert seen.unequal == (largest > TOLERANCE)
