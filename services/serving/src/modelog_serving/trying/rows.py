"""The rows that a version is asked to answer when it is tried."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from modelog_common.domain.errors import Invalid

from modelog_serving.deployment.signature import TEXT, Signature
from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import OBJECT, together
from modelog_serving.oip.invocations import InvocationsBody, Split, body_of, tensors_in
from modelog_serving.oip.tensors import DTYPES, dtype_of_rows, matrix_of

DRAWN_ROWS = 64
# As MLflow writes them: the first is what its scoring server takes, the second what was given to log_model.
EXAMPLES = ("serving_input_example.json", "input_example.json")
MOST_EXAMPLE_BYTES = 4 << 20
DRAWN = "values drawn from its signature"
_WORDS = ("one", "two words", "", "drei")


@dataclass(frozen=True)
class Recorded:
    """(rows, features) that came with a version, in a file of this name."""

    name: str
    rows: Matrix


def recorded(name: str, content: bytes, signature: Signature) -> Recorded:
    """The rows of an input example; raises Invalid for what is none of this signature."""
    body: InvocationsBody | str
    if name == EXAMPLES[0]:
        body, _ = body_of("application/json", content)
    else:
        body = _as_given(content)
    return Recorded(name, matrix_of(signature, tensors_in(body, signature)))


def _as_given(content: bytes) -> InvocationsBody:
    """An example as it was given: a table, a list of rows, or columns by name."""
    try:
        found = msgspec.json.decode(content)
        if isinstance(found, dict) and {"columns", "data"} <= found.keys():
            return InvocationsBody(dataframe_split=msgspec.convert(found, Split))
        return msgspec.convert({"inputs": found}, InvocationsBody)
    except msgspec.MsgspecError as error:
        raise Invalid.field("input_example.json", f"is no example: {error}") from None


def drawn(signature: Signature) -> Matrix:
    """(DRAWN_ROWS, features), always the same ones, without missing values; the first row is of zeros."""
    draw = np.random.default_rng(7)
    columns, places = list[Matrix](), list[int]()
    for spec in signature.inputs:
        for number in range(spec.width):
            if spec.datatype == TEXT:
                places.append(len(columns))
            kind = spec.kinds[number] if number < len(spec.kinds) else ""
            columns.append(_column(draw, spec.datatype, kind))
    numbers = np.stack(columns, axis=1)
    numbers[0] = 0
    if not places:
        return numbers.astype(dtype_of_rows(signature))
    texts = [_WORDS[row % len(_WORDS)] for row in range(DRAWN_ROWS) for _ in places]
    return together(numbers, places, texts)


def _column(draw: np.random.Generator, datatype: str, kind: str) -> Matrix:
    if datatype == "BOOL":
        values = draw.integers(0, 2, DRAWN_ROWS)
    elif kind == "categorical":
        values = draw.integers(0, 3, DRAWN_ROWS)
    elif datatype != TEXT and DTYPES[datatype].kind in "iu":
        values = draw.integers(0, 10, DRAWN_ROWS)
    else:
        return draw.normal(size=DRAWN_ROWS)
    return values.astype(np.float64)


def with_missing(rows: Matrix, signature: Signature) -> Matrix | None:
    """The same rows with a tenth of the numbers with a fraction missing; None where there are none such."""
    able = np.array([spec.datatype.startswith("FP") for spec in signature.inputs for _ in range(spec.width)])
    if rows.dtype == OBJECT or not able.any():
        return None
    missing = rows.copy()
    missing[(np.random.default_rng(7).random(rows.shape) < 0.1) & able] = np.nan
    missing[0, able] = np.nan
    return missing
