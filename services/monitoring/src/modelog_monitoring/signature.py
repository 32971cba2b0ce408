"""The columns that a model takes, as the signature of its deployment names them."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.errors import Invalid
from modelog_proto.registry.v1.model_pb2 import Signature, TensorSpec

from modelog_monitoring.stats.profile import Kind


def columns_of(spec: TensorSpec) -> tuple[str, ...]:
    """The names of a tensor's columns; where the signature gives none: the tensor's own, or name[0], name[1] ..."""
    if spec.columns:
        return tuple(spec.columns)
    width = width_of(spec)
    return (spec.name,) if width == 1 else tuple(f"{spec.name}[{n}]" for n in range(width))


def width_of(spec: TensorSpec) -> int:
    """How many columns one row of a tensor has."""
    if spec.columns:
        return len(spec.columns)
    width = 1
    for size in spec.shape[1:]:
        width *= size
    return width


def features_of(signature: Signature) -> tuple[str, ...]:
    """All input columns in the order in which the model takes them; the prediction log has them under these names."""
    return tuple(name for spec in signature.inputs for name in columns_of(spec))


def kinds_of(signature: Signature) -> dict[str, Kind]:
    """Each input column's kind, in order; numeric where the signature does not say.

    Raises Invalid when the deployment names no columns.
    """
    kinds: dict[str, Kind] = {}
    for spec in signature.inputs:
        names = columns_of(spec)
        given: Sequence[str] = spec.kinds or ["numeric"] * len(names)
        kinds |= {name: Kind(kind) for name, kind in zip(names, given, strict=True)}
    if not kinds:
        raise Invalid.field("deployment", "the signature of its model names no inputs; there is nothing to watch")
    return kinds
