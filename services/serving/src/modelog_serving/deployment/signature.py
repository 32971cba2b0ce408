"""What a model takes and gives: named tensors in the Open Inference Protocol's datatypes."""

from __future__ import annotations

import msgspec

TEXT = "BYTES"
NUMERIC = frozenset(
    ("BOOL", "FP16", "FP32", "FP64", *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)))
)


class TensorSpec(msgspec.Struct, frozen=True, cache_hash=True):
    """One input or output. `shape` begins with the rows, -1 for any number; `columns` names the last dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns one row has."""
        if self.columns:
            return len(self.columns)
        width = 1
        for size in self.shape[1:]:
            width *= size
        return width


class Signature(msgspec.Struct, frozen=True, cache_hash=True):
    """All inputs and outputs of a model, in order."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of all input columns, in the order in which the model takes them."""
        return tuple(name for spec in self.inputs for name in column_names(spec))

    @property
    def output_width(self) -> int:
        """How many numbers, or texts, one row is answered with."""
        return sum(spec.width for spec in self.outputs)

    @property
    def texts(self) -> str:
        """The first input or output of texts; "" where all are of numbers."""
        return next((spec.name for spec in (*self.inputs, *self.outputs) if spec.datatype == TEXT), "")


def column_names(spec: TensorSpec) -> tuple[str, ...]:
    """The names of a tensor's columns; where the signature gives none: the tensor's own, or name[0], name[1] ..."""
    if spec.columns:
        return spec.columns
    if spec.width == 1:
        return (spec.name,)
    return tuple(f"{spec.name}[{n}]" for n in range(spec.width))


def unservable(signature: Signature) -> str:
    """Why no request could be answered with this signature; "" when all is well."""
    for side, specs in (("input", signature.inputs), ("output", signature.outputs)):
        if not specs:
            problem = f"its signature names no {side}"
            if signature.inputs or signature.outputs:
                return problem
            return f"{problem}; an MLmodel file holds one when the model is logged with signature= or input_example="
        for spec in specs:
            if spec.datatype not in (*NUMERIC, TEXT):
                return (
                    f"its signature gives {side} {spec.name!r} the datatype {spec.datatype!r}; "
                    f"numbers are served, and texts ({TEXT})"
                )
            if any(size < 0 for size in spec.shape[1:]) and not spec.columns:
                return f"its signature leaves the width of {side} {spec.name!r} open: shape {list(spec.shape)}"
            if spec.width < 1:
                return f"its signature gives {side} {spec.name!r} no columns"
    names = signature.features
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"its signature names the input column {twice[0]!r} twice" if twice else ""


def difference(old: Signature, new: Signature) -> str:
    """The first difference that a caller would notice, in words; "" when there is none."""
    missing = [name for name in old.features if name not in new.features]
    added = [name for name in new.features if name not in old.features]
    if missing:
        return f"it does not take the input column {missing[0]!r}"
    if added:
        return f"it takes another input column, {added[0]!r}"
    if old.features != new.features:
        return "it takes the input columns in another order"
    for side, before, after in (("input", old.inputs, new.inputs), ("output", old.outputs, new.outputs)):
        was = [(spec.name, spec.datatype, spec.width) for spec in before]
        now = [(spec.name, spec.datatype, spec.width) for spec in after]
        if was != now:
            return f"its {side}s are {_words(now)} instead of {_words(was)}"
    return ""


def _words(specs: list[tuple[str, str, int]]) -> str:
    return ", ".join(f"{name} {datatype}[{width}]" for name, datatype, width in specs)
