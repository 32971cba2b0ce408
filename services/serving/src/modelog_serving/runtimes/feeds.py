"""Rows as the tensors that a network takes, and its answers as rows: what deep-learning frameworks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.oip.tensors import DTYPES


class WrongAnswer(Exception):
    """What the model returned is not one row of numbers for each row."""


@dataclass(frozen=True)
class Feed:
    """A tensor that is fed: `columns` of the rows, as `shape` after the first dimension."""

    name: str
    columns: slice
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def of(self, rows: Matrix) -> AnyArray:
        """Raises ValueError for a missing value where there is none of its kind."""
        part = rows[:, self.columns]
        if self.dtype.kind != "f" and np.isnan(part).any():
            raise ValueError(f"{self.name!r} is of whole numbers, of which none is missing")
        # Frameworks write into what they are given, and rows may be a request's own bytes.
        return np.array(part, self.dtype, order="C").reshape(len(rows), *self.shape)


def feeds_of(signature: Signature) -> list[Feed]:
    """A tensor for each of the signature's; a table of columns is one tensor of float32, as MLflow feeds it."""
    if all(spec.columns for spec in signature.inputs):
        width = len(signature.features)
        return [Feed(signature.inputs[0].name, slice(0, width), (width,), np.dtype(np.float32))]
    feeds, start = list[Feed](), 0
    for spec in signature.inputs:
        shape = spec.shape[1:] if not spec.columns and spec.shape else (spec.width,)
        feeds.append(Feed(spec.name, slice(start, start + spec.width), shape, DTYPES[spec.datatype]))
        start += spec.width
    return feeds


def joined(parts: Sequence[AnyArray], rows: int) -> Matrix:
    """Outputs, one after the other, as (rows, numbers); raises WrongAnswer for what is none."""
    for part in parts:
        if part.shape[:1] != (rows,) or part.dtype.kind not in "fiub":
            raise WrongAnswer(f"it answered {rows} rows with {part.dtype} of shape {list(part.shape)}")
    flat = [part.reshape(rows, -1) for part in parts]
    if len(flat) == 1 and flat[0].dtype in (np.float32, np.float64):
        return flat[0]
    whole: NDArray[np.float64] = np.concatenate(flat, axis=1, dtype=np.float64)
    return whole


def first_line(error: Exception) -> str:
    """What an error says, short enough to be told."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]
