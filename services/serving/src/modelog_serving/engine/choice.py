"""Which of several engines answers for a model, and what was found when they were compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelog_serving.engine.runtime import Matrix, Model

# Relative to the answer, or to 1 where the answer is smaller.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Difference:
    """Of two engines' answers to so many rows: the largest, and whether it is more than TOLERANCE.

    Where only one of them answers NaN or an infinity, or their shapes differ, `largest` is infinite.
    """

    rows: int
    largest: float

    @property
    def unequal(self) -> bool:
        """Whether the one must not answer for the other."""
        return self.largest > TOLERANCE


@dataclass(frozen=True)
class Choice:
    """`engine` answers, `why` says why it does. `sample` (rows, features) are the rows that engines were compared by,
    None where there was nothing to compare, and `difference` is what came of it."""

    engine: str
    why: str
    sample: Matrix | None = None
    difference: Difference | None = None


class Chosen:
    """A model that was chosen from several engines. `original` is the same model in its own library."""

    choice: Choice

    @property
    def original(self) -> Model | None:
        """None where the library itself answers."""
        return None


def difference(found: Matrix, wanted: Matrix) -> Difference:
    """Of (rows, outputs) each."""
    if found.shape != wanted.shape or not np.array_equal(np.isnan(found), np.isnan(wanted)):
        return Difference(len(wanted), float("inf"))
    same = (found == wanted) | np.isnan(wanted)
    if np.isinf(found[~same]).any() or np.isinf(wanted[~same]).any():
        return Difference(len(wanted), float("inf"))
    one, other = found[~same].astype(np.float64), wanted[~same].astype(np.float64)
    return Difference(len(wanted), float(np.max(np.abs(one - other) / np.maximum(1, np.abs(other)), initial=0)))
