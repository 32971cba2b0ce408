"""Input that has no answer is refused, naming the argument, what was wrong and what is allowed."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Column: TypeAlias = npt.ArrayLike


class BadInput(ValueError):
    """An argument without an answer; `field` names it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


def finite(values: Column, field: str, *, at_least: int) -> Floats:
    """Shape (n,), n at least `at_least`, without NaN or infinity."""
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or len(given) < at_least:
        raise BadInput(field, f"shape {given.shape} is not allowed; (n,) with n of {at_least} or more is needed")
    wrong = given[~np.isfinite(given)]
    if len(wrong):
        raise BadInput(field, f"{wrong[0]} is not allowed; finite numbers are needed")
    return given


def pairs(a: Column, b: Column, *, at_least: int) -> tuple[Floats, Floats]:
    """Two arrays of one length, finite."""
    first, second = finite(a, "a", at_least=at_least), finite(b, "b", at_least=at_least)
    if len(first) != len(second):
        raise BadInput("b", f"{len(second)} values are not allowed; as many as in a, {len(first)}, are needed")
    return first, second


def binary(values: Column, field: str) -> Bools:
    """Labels of 0 and 1, shape (n,), at least one."""
    given: npt.NDArray[Any] = np.asarray(values)
    if given.ndim != 1 or len(given) == 0:
        raise BadInput(field, f"shape {given.shape} is not allowed; (n,) with n of 1 or more is needed")
    wrong = given[(given != 0) & (given != 1)]
    if len(wrong):
        raise BadInput(field, f"{wrong[0]} is not allowed; 0 or 1 is needed")
    return given.astype(np.bool_)


def between(value: float, field: str, low: float, high: float) -> float:
    """A number strictly between two others."""
    if not low < value < high:
        raise BadInput(field, f"{value} is not allowed; it must lie between {low:g} and {high:g}")
    return value
