"""Tensors as they come and go, and how they fit a model's signature; a refusal names the tensor and what is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
from modelog_common.domain.errors import Invalid
from numpy.typing import NDArray

from modelog_serving.deployment.signature import TEXT, Signature, TensorSpec, column_names
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.engine.texts import OBJECT, numbers_in
from modelog_serving.oip import texts

MAX_ROWS = 10_000
MAX_INPUT_BYTES = 4_000_000
# The largest number that the log's columns, which are float32, hold; and the largest whole one that float64 holds
# together with all that are smaller.
LARGEST = float(np.finfo(np.float32).max)
LARGEST_WHOLE = 2**53
WHOLE = ("INT64", "UINT64")
# Parameters of tensors in Triton's extensions.
NOT_DONE = ("shared_memory_region", "classification")
FLOAT32 = np.dtype(np.float32)
# What float32 holds exactly.
SINGLE = frozenset(("BOOL", "UINT8", "UINT16", "INT8", "INT16", "FP16", "FP32"))
DTYPES: dict[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}


@dataclass(frozen=True)
class Tensor:
    """A named tensor: `values` is one-dimensional, row-major, of the datatype's own dtype; texts are str."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: AnyArray

    def binary(self) -> bytes:
        """The elements as the protocol has them in binary."""
        return texts.to_binary(self.values) if self.datatype == TEXT else self.values.tobytes()


def dtype_of(field: str, datatype: str) -> np.dtype[np.generic]:
    """The dtype of an Open Inference Protocol datatype; raises Invalid for one that no model here takes."""
    if datatype == TEXT:
        return OBJECT
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise Invalid.field(
            f"{field}.datatype", f"{datatype!r} is not supported; it must be one of {', '.join(DTYPES)}, {TEXT}"
        )
    return dtype


def size_of(field: str, shape: Sequence[int]) -> int:
    """How many elements a shape has; raises Invalid for one that cannot be."""
    size = 1
    for length in shape:
        if length < 0:
            raise Invalid.field(f"{field}.shape", f"{list(shape)} has a negative length")
        size *= length
    if not shape or size == 0:
        raise Invalid.field(f"{field}.shape", f"{list(shape)} holds no element; it must begin with the number of rows")
    if size * 4 > MAX_INPUT_BYTES:
        raise Invalid.field(
            f"{field}.shape", f"{list(shape)} holds {size} elements; at most {MAX_INPUT_BYTES // 4} are allowed"
        )
    return size


def from_bytes(field: str, name: str, datatype: str, shape: tuple[int, ...], data: bytes) -> Tensor:
    """The tensor of which these are the elements, row-major and little-endian; raises Invalid, naming the field."""
    dtype, size = dtype_of(field, datatype), size_of(field, shape)
    if datatype == TEXT:
        return Tensor(name, datatype, shape, texts.of_binary(field, data, size))
    if len(data) != size * dtype.itemsize:
        raise Invalid.field(
            field,
            f"has {len(data)} bytes; {name!r} of {datatype} and shape {list(shape)} takes {size * dtype.itemsize}",
        )
    if datatype == "BOOL" and max(data) > 1:
        raise Invalid.field(field, f"has the byte {max(data)}; BOOL's are 0 and 1")
    return Tensor(name, datatype, shape, np.frombuffer(data, dtype))


def check_parameters(field: str, given: Mapping[str, object]) -> None:
    """Raises Invalid for a tensor's parameter that means something which is not done here; others are ignored."""
    for name in NOT_DONE:
        if given.get(name):
            raise Invalid.field(
                f"{field}.parameters.{name}", "is not supported; send the tensor's elements in the request"
            )


def matrix_of(signature: Signature, inputs: Sequence[Tensor]) -> Matrix:
    """The (rows, features) matrix that inputs make: float32 if that holds all their datatypes, else float64; with
    texts, of objects.

    They are either the tensors that the signature names, or one tensor for each of its columns. NaN stands for a
    missing value. Raises Invalid, naming the input and what is expected.
    """
    if not inputs:
        raise Invalid.field("inputs", f"is empty; expected {_expected(signature)}")
    numbered: dict[str, tuple[int, Tensor]] = {}
    for number, tensor in enumerate(inputs):
        if tensor.name in numbered:
            raise Invalid.field(f"inputs[{number}].name", f"{tensor.name!r} is there twice")
        numbered[tensor.name] = number, tensor
    tensors = {spec.name for spec in signature.inputs}
    columns = _by_column if any(name not in tensors for name in numbered) else _by_tensor
    with np.errstate(over="ignore"):
        matrix = columns(signature, numbered)
    if len(matrix) > MAX_ROWS:
        raise Invalid.field("inputs", f"have {len(matrix)} rows; at most {MAX_ROWS} are allowed")
    texts.check(signature.features, matrix, MAX_INPUT_BYTES)
    _check_finite(signature, numbers_in(matrix))
    return matrix


def _by_tensor(signature: Signature, inputs: dict[str, tuple[int, Tensor]]) -> Matrix:
    parts: list[Matrix] = []
    dtype = dtype_of_rows(signature)
    for spec in signature.inputs:
        if spec.name not in inputs:
            raise Invalid.field("inputs", f"lack the tensor {spec.name!r}: expected {_described(spec)}")
        number, tensor = inputs[spec.name]
        _check_datatype(number, tensor, spec)
        flat = spec.width == 1 and len(tensor.shape) == 1
        if not flat and (len(tensor.shape) < 2 or math.prod(tensor.shape[1:]) != spec.width):
            raise Invalid.field(
                f"inputs[{number}].shape", f"{tensor.name!r} has shape {list(tensor.shape)}; expected {_shape(spec)}"
            )
        parts.append(_carried(number, tensor, dtype).reshape(tensor.shape[0], spec.width))
        _check_rows(number, tensor, len(parts[0]))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _by_column(signature: Signature, inputs: dict[str, tuple[int, Tensor]]) -> Matrix:
    specs = {name: spec for spec in signature.inputs for name in column_names(spec)}
    for name, (number, _) in inputs.items():
        if name not in specs:
            near = get_close_matches(name, specs, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise Invalid.field(
                f"inputs[{number}].name", f"{name!r} is no input of this model{hint} Expected {_expected(signature)}"
            )
    missing = [name for name in specs if name not in inputs]
    if missing:
        raise Invalid.field(
            "inputs",
            f"lack {len(missing)} of {len(specs)} columns: {', '.join(missing[:10])}{', ...' * (len(missing) > 10)}",
        )
    parts: list[Matrix] = []
    dtype = dtype_of_rows(signature)
    for name, spec in specs.items():
        number, tensor = inputs[name]
        _check_datatype(number, tensor, spec)
        if len(tensor.shape) > 2 or tensor.shape[1:] not in ((), (1,)):
            raise Invalid.field(
                f"inputs[{number}].shape", f"{name!r} has shape {list(tensor.shape)}; expected [rows] or [rows, 1]"
            )
        parts.append(_carried(number, tensor, dtype))
        _check_rows(number, tensor, len(parts[0]))
    return np.ascontiguousarray(np.stack(parts, axis=1))


@lru_cache(1024)
def dtype_of_rows(signature: Signature) -> np.dtype[Any]:
    """What holds all that the signature's inputs can be, short of whole numbers beyond LARGEST_WHOLE."""
    if any(spec.datatype == TEXT for spec in signature.inputs):
        return OBJECT
    single = all(spec.datatype in SINGLE for spec in signature.inputs)
    return FLOAT32 if single else np.dtype(np.float64)


def _carried(number: int, tensor: Tensor, dtype: np.dtype[Any]) -> Matrix:
    if tensor.values.dtype == dtype:
        return tensor.values
    if tensor.datatype in WHOLE:
        beyond = too_large(tensor.values)
        if beyond.any():
            raise Invalid.field(
                f"inputs[{number}]",
                f"{tensor.name!r} holds {tensor.values[beyond][0]}; whole numbers up to {LARGEST_WHOLE} are allowed",
            )
    values: Matrix = tensor.values.astype(np.float64 if dtype == OBJECT else dtype)
    return values.astype(dtype, copy=False)


def too_large(values: AnyArray) -> NDArray[np.bool_]:
    """Which of the values of one of WHOLE float64 may not hold."""
    beyond: NDArray[np.bool_] = (values > LARGEST_WHOLE) | (values < -LARGEST_WHOLE)
    return beyond


def _check_datatype(number: int, tensor: Tensor, spec: TensorSpec) -> None:
    if tensor.datatype != spec.datatype:
        raise Invalid.field(
            f"inputs[{number}].datatype", f"{tensor.name!r} has datatype {tensor.datatype}; expected {spec.datatype}"
        )


def _check_rows(number: int, tensor: Tensor, rows: int) -> None:
    if tensor.shape[0] != rows:
        raise Invalid.field(
            f"inputs[{number}].shape",
            f"{tensor.name!r} has {tensor.shape[0]} rows, the tensors before it have {rows}",
        )


def infinite(values: Matrix) -> NDArray[np.bool_]:
    """Which values are infinite, or so in the log, whose columns are float32."""
    return np.isinf(values) if values.dtype == FLOAT32 else np.abs(values) > LARGEST


def _check_finite(signature: Signature, matrix: Matrix) -> None:
    wrong = infinite(matrix)
    if wrong.any():
        row, column = (int(n) for n in np.argwhere(wrong)[0])
        raise Invalid.field(
            "inputs",
            f"row {row}, column {signature.features[column]!r} is infinite or too large for FP32; "
            "allowed are finite numbers, and NaN for a missing value",
        )


def _expected(signature: Signature) -> str:
    whole = " and ".join(_described(spec) for spec in signature.inputs)
    names = signature.features
    return (
        f"{whole}, or one tensor of shape [rows] for each column: {', '.join(names[:10])}{', ...' * (len(names) > 10)}"
    )


def _described(spec: TensorSpec) -> str:
    return f"{spec.name!r} of {spec.datatype} and shape {_shape(spec)}"


def _shape(spec: TensorSpec) -> str:
    return "[rows]" if spec.width == 1 and not spec.columns and len(spec.shape) < 2 else f"[rows, {spec.width}]"


def outputs_of(signature: Signature, outputs: Matrix, wanted: Sequence[str]) -> list[Tensor]:
    """The output tensors that were asked for, all when none was named; raises Invalid for a name there is not.

    `outputs` is (rows, outputs), float32 or float64; with texts, of objects.
    """
    known = [spec.name for spec in signature.outputs]
    for number, name in enumerate(wanted):
        if name not in known:
            raise Invalid.field(f"outputs[{number}].name", f"{name!r} is no output; there is {', '.join(known)}")
    tensors: dict[str, Tensor] = {}
    start = 0
    for spec in signature.outputs:
        end = start + spec.width
        rest = (spec.width,) if spec.columns else spec.shape[1:]
        values = outputs[:, start:end].astype(dtype_of(spec.name, spec.datatype)).reshape(-1)
        tensors[spec.name] = Tensor(spec.name, spec.datatype, (len(outputs), *rest), values)
        start = end
    return [tensors[name] for name in (wanted or known)]
