"""ModelInfer's usual messages by hand: one tensor of FP32 by the model's own name for it, and the answer to it.

What else a message may hold is not read here: `Reader.read` gives None, and the general way reads it. The wire format:
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from modelog_proto.inference import grpc_predict_v2_pb2 as pb

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import Matrix
from modelog_serving.oip.tensors import DTYPES
from modelog_serving.predlog.rows import MOST_ROWS

FLOAT_BYTES: Final = 4
MAX_ID: Final = 200
# Beginnings of messages that are known by heart.
KNOWN: Final = 512
KNOWN_BYTES: Final = 2048
# Field numbers and wire types (2: length and bytes) of ModelInferRequest, ModelInferResponse and what is in them.
RAW_INPUT: Final = 7 << 3 | 2
RAW_OUTPUT: Final = 6 << 3 | 2
OUTPUT: Final = 5 << 3 | 2
PARAMETER: Final = 4 << 3 | 2
ID: Final = 3 << 3 | 2
KEY: Final = 1 << 3 | 2
VALUE: Final = 2 << 3 | 2
STRING: Final = 3 << 3 | 2
CONTENTS, FP32 = 5 << 3 | 2, 6 << 3 | 2


class Shape(NamedTuple):
    """What a request asks for, but for its numbers; `raw` says that it is answered in bytes."""

    deployment: str
    tensor: str
    rows: int
    width: int
    raw: bool
    datatype: str = "FP32"


class Asked:
    """A request; `values` are row-major, of the dtype in which the model gets them: see `tensors.dtype_of_rows`."""

    __slots__ = ("id", "key", "shape", "values")

    def __init__(self, shape: Shape, values: bytes, id: str = "", key: str = "") -> None:
        self.shape, self.values, self.id, self.key = shape, values, id, key

    def _all(self) -> tuple[Shape, bytes, str, str]:
        return self.shape, self.values, self.id, self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asked) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())


class Reader:
    """Remembers how messages begin: those of a caller differ in their numbers only, which stand at the end."""

    def __init__(self) -> None:
        self._cuts: dict[int, int] = {}
        self._shapes: dict[bytes, Shape] = {}

    def read(self, message: bytes) -> Asked | None:
        """The request, or None when it is none of the usual ones, which does not say that it is wrong."""
        cut = self._cuts.get(len(message))
        if cut is not None:
            shape = self._shapes.get(message[:cut])
            if shape is not None:
                return Asked(shape, message[cut:])
        return self._parsed(message)

    def _parsed(self, message: bytes) -> Asked | None:
        try:
            parsed = pb.ModelInferRequest.FromString(message)
        except DecodeError:
            return None
        if not parsed.model_name or parsed.model_version or parsed.outputs or len(parsed.inputs) != 1:
            return None
        tensor = parsed.inputs[0]
        if tensor.datatype != "FP32" or len(tensor.shape) != 2 or tensor.parameters:
            return None
        (rows, width), key = tensor.shape, _key(parsed)
        if not 0 < rows <= MOST_ROWS or width < 1 or key is None or len(parsed.id) > MAX_ID:
            return None
        raw = len(parsed.raw_input_contents) > 0
        if raw:
            if len(parsed.raw_input_contents) != 1 or tensor.HasField("contents"):
                return None
            values = parsed.raw_input_contents[0]
        else:
            values = np.array(tensor.contents.fp32_contents, "<f4").tobytes()
        if len(values) != rows * width * FLOAT_BYTES:
            return None
        asked = Asked(Shape(parsed.model_name, tensor.name, rows, width, raw), values, parsed.id, key)
        if raw and not parsed.id and not key:
            self._learn(message, parsed, asked)
        return asked

    def _learn(self, message: bytes, parsed: pb.ModelInferRequest, asked: Asked) -> None:
        """Remember how a message begins if nothing but its beginning and the bytes of its tensor are in it."""
        cut = len(message) - len(asked.values)
        parsed.ClearField("raw_input_contents")
        beginning = parsed.SerializeToString() + _length(RAW_INPUT, len(asked.values))
        if cut <= KNOWN_BYTES and message[:cut] == beginning:
            if len(self._shapes) >= KNOWN:
                self._shapes.clear()
                self._cuts.clear()
            self._cuts[len(message)] = cut
            self._shapes[beginning] = asked.shape


def _key(message: pb.ModelInferRequest) -> str | None:
    """The parameter `key`, "" without; None when there are other parameters, or it is no key."""
    if not message.parameters:
        return ""
    if len(message.parameters) > 1 or "key" not in message.parameters:
        return None
    given = message.parameters["key"]
    usual = given.WhichOneof("parameter_choice") == "string_param" and 0 < len(given.string_param) <= MAX_ID
    return given.string_param if usual else None


class Writer:
    """Writes the answers of one version of a deployment, each (rows, outputs) of a batch's outputs."""

    def __init__(self, deployment: str, version: str, digest: str, signature: Signature) -> None:
        first = pb.ModelInferResponse(model_name=deployment, model_version=version)
        first.parameters["version"].string_param = version
        first.parameters["model_digest"].string_param = digest
        self._first = first.SerializeToString()
        self._signature = signature
        # FP32 alone has contents that are the same bytes as raw ones.
        self.plain = all(spec.datatype == "FP32" for spec in signature.outputs)
        self._tensors: dict[int, list[bytes]] = {}
        self._forms: dict[tuple[int, int], tuple[bytes, list[bytes]]] = {}

    def begin(self, outputs: Matrix) -> Callable[[int, Shape, str, str], bytes]:
        """What gives the messages of a batch: see `answer`."""
        return partial(self.answer, self.columns(outputs))

    def columns(self, outputs: Matrix) -> list[tuple[bytes, int]]:
        """What a batch was answered, one for each output: its bytes, row-major, and how many of them a row has."""
        found, start = [], 0
        for spec in self._signature.outputs:
            values = np.ascontiguousarray(outputs[:, start : start + spec.width], DTYPES[spec.datatype])
            found.append((values.tobytes(), spec.width * values.itemsize))
            start += spec.width
        return found

    def answer(
        self, columns: list[tuple[bytes, int]], first_row: int, shape: Shape, asked_id: str, prediction_ids: str
    ) -> bytes:
        """The message for some rows of a batch; `prediction_ids` are separated by commas."""
        rows = shape.rows
        if shape.raw and not asked_id and columns:
            text = prediction_ids.encode()
            before, between = self._form(columns, rows, len(text))
            parts = [before, text]
            for head, (data, size) in zip(between, columns, strict=True):
                parts += (head, data[first_row * size : (first_row + rows) * size])
            return b"".join(parts)
        parts = [self._first, _parameter(_name(rows), prediction_ids.encode())]
        if asked_id:
            text = asked_id.encode()
            parts += (_length(ID, len(text)), text)
        values = [data[first_row * size : (first_row + rows) * size] for data, size in columns]
        tensors = self._described(rows)
        if shape.raw:
            for tensor in tensors:
                parts += (_length(OUTPUT, len(tensor)), tensor)
            for data in values:
                parts += (_length(RAW_OUTPUT, len(data)), data)
        else:
            for tensor, data in zip(tensors, values, strict=True):
                contents = _length(FP32, len(data)) + data
                told = tensor + _length(CONTENTS, len(contents)) + contents
                parts += (_length(OUTPUT, len(told)), told)
        return b"".join(parts)

    def _form(self, columns: list[tuple[bytes, int]], rows: int, length: int) -> tuple[bytes, list[bytes]]:
        """Of raw answers without an id: what stands before prediction ids of so many bytes, and before each output."""
        form = self._forms.get((rows, length))
        if form is None:
            before = self._first + _parameter(_name(rows), bytes(length))[:-length]
            described = b"".join([_length(OUTPUT, len(tensor)) + tensor for tensor in self._described(rows)])
            between = [_length(RAW_OUTPUT, rows * size) for _, size in columns]
            between[0] = described + between[0]
            if len(self._forms) >= KNOWN:
                self._forms.clear()
            form = self._forms[rows, length] = before, between
        return form

    def _described(self, rows: int) -> list[bytes]:
        """Each output's name, datatype and shape."""
        found = self._tensors.get(rows)
        if found is None:
            made = pb.ModelInferResponse()
            for spec in self._signature.outputs:
                rest = (spec.width,) if spec.columns else spec.shape[1:]
                made.outputs.add(name=spec.name, datatype=spec.datatype, shape=(rows, *rest))
            found = self._tensors[rows] = [output.SerializeToString() for output in made.outputs]
        return found


def _name(rows: int) -> bytes:
    return b"prediction_ids" if rows > 1 else b"prediction_id"


def _length(tag: int, size: int) -> bytes:
    """A field's tag, which is below 128, and its length."""
    if size < 0x80:
        return bytes((tag, size))
    written = [tag]
    while size >= 0x80:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    written.append(size)
    return bytes(written)


def _parameter(name: bytes, text: bytes) -> bytes:
    value = _length(STRING, len(text)) + text
    entry = _length(KEY, len(name)) + name + _length(VALUE, len(value)) + value
    return _length(PARAMETER, len(entry)) + entry
