"""Python functions of texts keep what every runtime of texts promises."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import cloudpickle
import numpy as np
import pandas
import pytest
from modelog_common.domain.errors import NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from text_suite import TEXTS, TextCase, TextRuntimeSuite, from_a_process_of_its_own

cloudpickle.register_pickle_by_value(sys.modules[__name__])
ALONE = (TensorSpec("text", "BYTES", (-1,)),)
PAIR = (TensorSpec("pair", "BYTES", (-1, 2), ("title", "body")),)
BOTH = (TensorSpec("label", "BYTES", (-1,)), TensorSpec("score", "FP32", (-1,)), TensorSpec("sizes", "INT64", (-1, 2)))


def label(text: str) -> str:
    return f"{text[:3]}…{text[-3:]}"


def of_table(table: pandas.DataFrame) -> dict[str, Any]:
    sizes = np.column_stack([table["title"].str.len(), table["body"].str.len()])
    return {"score": sizes.sum(axis=1) / 3, "sizes": sizes, "label": [label(text) for text in table["title"]]}


class TestFunctionOfAnArray(TextRuntimeSuite):
    """Texts in, texts out, without names."""

    @pytest.fixture
    def case(self) -> TextCase:
        content = cloudpickle.dumps(lambda rows: [label(text) for text in rows[:, 0]])
        signature = Signature(ALONE, (TensorSpec("output", "BYTES", (-1,)),))
        return TextCase("python_function", content, signature, lambda row: [label(row[0])], approved=True)


class TestFunctionOfATable(TextRuntimeSuite):
    """Texts, floats and whole numbers out."""

    @pytest.fixture
    def case(self) -> TextCase:
        return table_case()


def table_case() -> TextCase:
    def answers(row: Sequence[str]) -> list[str | float]:
        return [label(row[0]), (len(row[0]) + len(row[1])) / 3, len(row[0]), len(row[1])]

    texts = tuple(zip(TEXTS, reversed(TEXTS), strict=True))
    return TextCase(
        "python_function", cloudpickle.dumps(of_table), Signature(PAIR, BOTH), answers, texts, approved=True
    )


def test_it_answers_from_a_process_of_its_own() -> None:
    from_a_process_of_its_own(table_case())


@pytest.mark.parametrize("answer", [["late", 5], [1.0], [None], "late", [["a", "b"]], {"label": ["late"]}])
def test_what_is_no_text_for_each_row_is_refused_when_it_is_loaded(answer: Any) -> None:
    outputs = (TensorSpec("output", "BYTES", (-1,)),)
    case = TextCase(
        "python_function", cloudpickle.dumps(lambda rows: answer), Signature(ALONE, outputs), lambda row: []
    )
    with pytest.raises(NotAllowed, match="does not answer a row of empty texts and zeros|answers a row with 2"):
        case.load(approved=True)
