"""REST's usual infer bodies: one tensor by the model's own name for it, in JSON or binary, and the answer to it.

What else a body may hold is not read here: `read` gives None, and `rest_codec` reads it, or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np
from modelog_common.edge.http1_answer import Answer

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.oip.asked import MAX_ID
from modelog_serving.oip.binary import CONTENT_TYPE, HEADER, SIZE
from modelog_serving.oip.fast_codec import Asked, Shape
from modelog_serving.oip.rest_codec import ALLOWED, INFER, InputBody
from modelog_serving.oip.tensors import DTYPES, FLOAT32, MAX_INPUT_BYTES, SINGLE, WHOLE, too_large
from modelog_serving.predlog.rows import MOST_ROWS

FLOAT64 = np.dtype(np.float64)
_json = msgspec.json.encode


def read(deployment: str, body: bytes, json_length: str) -> Asked | None:
    """The request, or None when it is none of the usual ones, which does not say that it is wrong."""
    behind = b""
    if json_length:
        if not (json_length.isascii() and json_length.isdigit() and len(json_length) < 20):
            return None
        if not 0 < int(json_length) <= len(body):
            return None
        body, behind = body[: int(json_length)], body[int(json_length) :]
    try:
        message = INFER.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if len(message.inputs) != 1 or message.outputs or len(message.id) > MAX_ID:
        return None
    told = _told(message.parameters)
    tensor = message.inputs[0]
    dtype = DTYPES.get(tensor.datatype)
    if told is None or dtype is None or len(tensor.shape) != 2:
        return None
    rows, width = tensor.shape
    if not 0 < rows <= MOST_ROWS or not 0 < width * rows <= MAX_INPUT_BYTES // 4:
        return None
    values = _values(tensor, dtype, rows, width, behind)
    if values is None or (tensor.datatype in WHOLE and too_large(values).any()):
        return None
    carried = values.astype(FLOAT32 if tensor.datatype in SINGLE else FLOAT64, copy=False)
    key, is_binary = told
    return Asked(
        Shape(deployment, tensor.name, rows, width, is_binary, tensor.datatype), carried.tobytes(), message.id, key
    )


def _told(parameters: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The parameters `key`, "" without, and `binary_data_output`; None when one is not right, or there are others."""
    if not parameters:
        return "", False
    if not parameters.keys() <= {"key", "binary_data_output"}:
        return None
    key, is_binary = parameters.get("key", ""), parameters.get("binary_data_output", False)
    if not isinstance(key, str) or len(key) > MAX_ID or not isinstance(is_binary, bool):
        return None
    return key, is_binary


def _values(tensor: InputBody, dtype: np.dtype[np.generic], rows: int, width: int, behind: bytes) -> AnyArray | None:
    if tensor.parameters:
        if tensor.parameters.keys() != {SIZE} or tensor.data:
            return None
        size = tensor.parameters[SIZE]
        whole = type(size) is int and size == len(behind) == rows * width * dtype.itemsize
        if not whole or (tensor.datatype == "BOOL" and max(behind) > 1):
            return None
        return np.frombuffer(behind, dtype)
    values = _flat(tensor.data, rows, width)
    if behind or values is None or len(values) != rows * width or not {*map(type, values)} <= ALLOWED[dtype.kind]:
        return None
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype)
    except OverflowError:
        return None


def _flat(data: list[Any], rows: int, width: int) -> list[Any] | None:
    """Values in order, of a flat list or of one list for each row."""
    if not data or type(data[0]) is not list:
        return data
    if len(data) != rows:
        return None
    values: list[Any] = []
    for inner in data:
        if type(inner) is not list or len(inner) != width:
            return None
        values += inner
    return values


class RestWriter:
    """Writes the answers of one version of a deployment, each (rows, outputs) of a batch's outputs."""

    def __init__(self, deployment: str, version: str, digest: str, signature: Signature) -> None:
        self._before_id = b'{"model_name":%b,"model_version":%b,"id":' % (_json(deployment), _json(version))
        told = b',"parameters":{"version":%b,"model_digest":%b,' % (_json(version), _json(digest))
        self._one, self._many = told + b'"prediction_id":', told + b'"prediction_ids":'
        self._signature = signature
        self._tensors: dict[int, list[bytes]] = {}

    def begin(self, outputs: Matrix) -> Callable[[int, Shape, str, str], Answer]:
        """What gives the answers of a batch: see `answer`."""
        found, start = [], 0
        for spec in self._signature.outputs:
            values = outputs[:, start : start + spec.width].astype(DTYPES[spec.datatype]).reshape(-1)
            found.append((values, spec.width))
            start += spec.width
        return partial(self.answer, found)

    def answer(
        self, columns: list[tuple[AnyArray, int]], first_row: int, shape: Shape, asked_id: str, prediction_ids: str
    ) -> Answer:
        """The answer for some rows of a batch; `prediction_ids` are separated by commas."""
        rows, end = shape.rows, first_row + shape.rows
        told, behind = [], []
        for begun, (values, width) in zip(self._begun(rows), columns, strict=True):
            own = values[first_row * width : end * width]
            if shape.raw:
                behind.append(own.tobytes())
                told.append(b'%b,"parameters":{"%b":%d}}' % (begun, SIZE.encode(), own.nbytes))
            else:
                # What is no number, or infinite, becomes null.
                told.append(b'%b,"data":%b}' % (begun, _json(own.tolist())))
        body = b'%b%b%b%b},"outputs":[%b]}' % (
            self._before_id, _json(asked_id), self._many if rows > 1 else self._one, _json(prediction_ids),
            b",".join(told),
        )  # fmt: skip
        if not behind:
            return Answer(body)
        return Answer(b"".join((body, *behind)), content_type=CONTENT_TYPE, headers={HEADER: str(len(body))})

    def _begun(self, rows: int) -> list[bytes]:
        """Each output's name, datatype and shape."""
        found = self._tensors.get(rows)
        if found is None:
            found = self._tensors[rows] = []
            for spec in self._signature.outputs:
                shape = [rows, *((spec.width,) if spec.columns else spec.shape[1:])]
                found.append(_json({"name": spec.name, "datatype": spec.datatype, "shape": shape})[:-1])
        return found
