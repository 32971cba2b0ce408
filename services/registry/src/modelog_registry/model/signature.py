"""What a model takes and gives, and what makes such a description wrong."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from modelog_common.domain.errors import Invalid

KINDS = ("numeric", "categorical")


class Tensor(msgspec.Struct, frozen=True):
    """One input or output: an Open Inference Protocol datatype, a shape in which -1 stands for any length.

    `columns` names the columns of the last dimension, `kinds` says "numeric" or "categorical" of each.
    """

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class Signature(msgspec.Struct, frozen=True):
    """The tensors that a model takes and those that it gives."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def check_signature(signature: Signature, field: str = "signature") -> None:
    """Raises Invalid, naming the part that contradicts itself."""
    _check_tensors(signature.inputs, f"{field}.inputs")
    _check_tensors(signature.outputs, f"{field}.outputs")


def _check_tensors(tensors: Sequence[Tensor], field: str) -> None:
    if not tensors:
        raise Invalid.field(field, "is empty; a model has at least one")
    _check_unique([t.name for t in tensors], field)
    for n, tensor in enumerate(tensors):
        _check_tensor(tensor, f"{field}[{n}]")


def _check_tensor(tensor: Tensor, field: str) -> None:
    wrong = next((length for length in tensor.shape if length < -1), None)
    if wrong is not None:
        raise Invalid.field(f"{field}.shape", f"{wrong} is not a length; use 0 or more, or -1 for any")
    _check_unique(tensor.columns, f"{field}.columns")
    last = tensor.shape[-1] if tensor.shape else -1
    if tensor.columns and last not in (-1, len(tensor.columns)):
        raise Invalid.field(
            f"{field}.columns", f"names {len(tensor.columns)} columns, but the last dimension of shape is {last}"
        )
    if tensor.kinds and len(tensor.kinds) != len(tensor.columns):
        raise Invalid.field(
            f"{field}.kinds", f"has {len(tensor.kinds)} entries for {len(tensor.columns)} columns; give one for each"
        )
    for n, kind in enumerate(tensor.kinds):
        if kind not in KINDS:
            raise Invalid.field(f"{field}.kinds[{n}]", f"{kind!r} is not one of {', '.join(KINDS)}")


def _check_unique(names: Sequence[str], field: str) -> None:
    seen: set[str] = set()
    for n, name in enumerate(names):
        if name in seen:
            raise Invalid.field(f"{field}[{n}]", f"{name!r} stands there twice; names must differ")
        seen.add(name)
