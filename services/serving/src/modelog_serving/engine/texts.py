"""Matrices with texts: all cells are objects, str in the columns of texts and float in the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modelog_serving.engine.runtime import Matrix

OBJECT = np.dtype(object)


def text_columns(matrix: Matrix) -> list[int]:
    """Which columns are of texts."""
    if matrix.dtype != OBJECT or not len(matrix):
        return []
    return [number for number, cell in enumerate(matrix[0]) if isinstance(cell, str)]


def numbers_in(matrix: Matrix) -> Matrix:
    """The same matrix with NaN for each text, float64 where there are texts."""
    if matrix.dtype != OBJECT:
        return matrix
    numbers = matrix.copy()
    numbers[:, text_columns(matrix)] = math.nan
    found: Matrix = numbers.astype(np.float64)
    return found


def texts_in(matrix: Matrix) -> list[str]:
    """Its texts, row by row."""
    if matrix.dtype != OBJECT:
        return []
    return [str(cell) for cell in matrix[:, text_columns(matrix)].ravel()]


def texts_by_cell(row: Matrix) -> tuple[str, ...]:
    """Of each cell of a row (columns,) its text, or nothing for a number."""
    return tuple(cell if isinstance(cell, str) else "" for cell in row.tolist())


def same_cells(one: Matrix, other: Matrix) -> bool:
    """Whether two rows hold the same, a missing number being the same as another."""
    if OBJECT in (one.dtype, other.dtype):
        one, other = np.atleast_2d(one), np.atleast_2d(other)
        numbers = np.array_equal(numbers_in(one), numbers_in(other), equal_nan=True)
        return bool(numbers and text_columns(one) == text_columns(other) and texts_in(one) == texts_in(other))
    return np.array_equal(one, other, equal_nan=True)


def together(numbers: Matrix, columns: Sequence[int], texts: Sequence[str]) -> Matrix:
    """A matrix of numbers with `texts`, row by row, in these columns; the numbers themselves where there are none."""
    if not columns:
        return numbers
    made: Matrix = numbers.astype(OBJECT)
    filled = np.empty(len(texts), OBJECT)
    filled[:] = texts
    made[:, list(columns)] = filled.reshape(len(numbers), len(columns))
    return made


def size_bytes(matrix: Matrix) -> int:
    """What a matrix takes, texts as their characters."""
    if matrix.dtype != OBJECT:
        return matrix.nbytes
    return matrix.nbytes + sum(len(text) for column in text_columns(matrix) for text in matrix[:, column])
