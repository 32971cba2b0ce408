"""MLflow's signature of a model, as its MLmodel file holds it, in the datatypes of the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

import msgspec
from modelog_common.domain.errors import Invalid

from modelog_registry.mlmodel.untrusted import NotRead
from modelog_registry.model.signature import Signature, Tensor, check_signature

# Of a column of a table.
COLUMNS = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "binary": "BYTES",
    "datetime": "BYTES",
}
# Of an array, by NumPy's names.
ARRAYS = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "str": "BYTES",
    "bytes": "BYTES",
    "object": "BYTES",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
LONGEST_NAME = 200
MOST_TENSORS = 10_000


def signature_in(told: Any) -> Signature:
    """Raises NotRead, which says what has no place in a signature here.

    A table becomes one tensor when all its columns have one datatype, and a tensor for each column otherwise; either
    way a request may send a tensor for each column.
    """
    if not isinstance(told, dict):
        raise NotRead("is no mapping")
    found = Signature(_side(told.get("inputs"), "input"), _side(told.get("outputs"), "output"))
    try:
        check_signature(found)
    except Invalid as error:
        raise NotRead(str(error)) from None
    return found


def _side(told: Any, name: str) -> tuple[Tensor, ...]:
    try:
        schema = msgspec.json.decode(told) if isinstance(told, str) else told
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotRead(f"{name}s are not JSON: {error}") from None
    if not schema:
        raise NotRead(f"has no {name}s")
    if not isinstance(schema, list) or not all(isinstance(entry, dict) for entry in schema):
        raise NotRead(f"{name}s are no list of columns or tensors")
    if len(schema) > MOST_TENSORS:
        raise NotRead(f"has {len(schema)} {name}s; at most {MOST_TENSORS} are kept")
    if any(entry.get("type") == "tensor" for entry in schema):
        return tuple(_tensor(entry, _name(entry, name, n, len(schema))) for n, entry in enumerate(schema))
    return _table(schema, name)


def _name(entry: dict[str, Any], name: str, n: int, count: int) -> str:
    """Its own or, where MLflow gives none, that of its side."""
    found = str(entry.get("name") or (name if count == 1 else f"{name}-{n}"))
    if len(found) > LONGEST_NAME:
        raise NotRead(f"names {name} {n} with {len(found)} characters; at most {LONGEST_NAME} are kept")
    return found


def _tensor(entry: dict[str, Any], name: str) -> Tensor:
    about = entry.get("tensor-spec")
    if not isinstance(about, dict):
        raise NotRead(f"tells of {name!r} neither dtype nor shape")
    dtype, shape = str(about.get("dtype")), about.get("shape")
    # "<U5", "|S3" and the like are texts of a length.
    datatype = ARRAYS.get(dtype) or ("BYTES" if dtype.lstrip("<>|=")[:1] in ("U", "S") else "")
    if not datatype:
        raise NotRead(f"has {name!r} of dtype {dtype!r}, for which there is no datatype")
    if not isinstance(shape, list) or not all(type(size) is int and -1 <= size < 2**63 for size in shape):
        raise NotRead(f"has {name!r} of shape {str(shape)[:100]}, which is none")
    return Tensor(name, datatype, tuple(shape))


def _table(schema: list[dict[str, Any]], name: str) -> tuple[Tensor, ...]:
    columns = [(_name(entry, name, n, len(schema)), _datatype(entry, name)) for n, entry in enumerate(schema)]
    if len(columns) == 1 and not schema[0].get("name"):
        return (Tensor(name, columns[0][1], (-1,)),)
    datatypes = {datatype for _, datatype in columns}
    if len(datatypes) == 1:
        return (Tensor(name, datatypes.pop(), (-1, len(columns)), tuple(column for column, _ in columns)),)
    return tuple(Tensor(column, datatype, (-1, 1), (column,)) for column, datatype in columns)


def _datatype(entry: dict[str, Any], name: str) -> str:
    kind = str(entry.get("type"))
    if kind not in COLUMNS:
        raise NotRead(f"has {name} {entry.get('name')!r} of type {kind!r}, which is no tensor")
    return COLUMNS[kind]
