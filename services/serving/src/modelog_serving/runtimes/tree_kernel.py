"""Answers rows with perfect binary trees: one kernel, compiled once and kept on disk, over the arrays of any model.

Importing this module needs numba. Every tree has the same depth: where a branch is shorter, its leaf is repeated, so a
row takes as many steps in each tree and nothing has to be guessed by the processor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from modelog_serving.runtimes.links import EXPONENTIAL, IDENTITY, LOGISTIC, SOFTMAX

# Rows that go through a tree, or trees that one row goes through, together: their steps do not wait for each other.
TOGETHER = 16
# Fewer rows go one after the other through several trees at a time.
FEW = 6
# XGBoost's own bounds for exp in float32 (src/common/math.h).
LARGEST_EXPONENT = np.float32(88.7)
TINY = np.float32(1e-16)

Floats = NDArray[np.float32]
Kernel = Callable[..., None]
compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def answer(
    rows: Floats,
    features: NDArray[np.int32],
    thresholds: Floats,
    missing_right: NDArray[np.bool_],
    leaves: Floats,
    groups: NDArray[np.int32],
    bases: Floats,
    link: int,
    answers: Floats,
) -> None:
    """Fill `answers` (rows, outputs) from `rows` (rows, features).

    `features`, `thresholds` and `missing_right` are (trees, 2^depth - 1), node n's children being 2n + 1 and 2n + 2;
    `leaves` (trees, 2^depth). A value goes left when it is below the threshold. `groups` (trees,) is the output that a
    tree adds to, `bases` (outputs,) what each output begins with. Leaves are added in the order of the trees, as
    XGBoost does, so that the sums are the same to the last bit.
    """
    inner = thresholds.shape[1]
    depth = 0
    while (1 << depth) - 1 < inner:
        depth += 1
    places = np.empty(TOGETHER, np.uint32)
    for row in range(len(rows)):
        for output in range(len(bases)):
            answers[row, output] = bases[output]
    if len(rows) <= FEW:
        for row in range(len(rows)):
            _through_many_trees(
                rows[row], features, thresholds, missing_right, leaves, groups, depth, places, answers[row]
            )
    else:
        for first in range(0, len(rows), TOGETHER):
            last = min(first + TOGETHER, len(rows))
            _many_rows(
                rows[first:last], features, thresholds, missing_right, leaves, groups, depth, places,
                answers[first:last],
            )  # fmt: skip
    for row in range(len(rows)):
        _link(answers[row], link)


@compiled
def _through_many_trees(
    row: Floats,
    features: NDArray[np.int32],
    thresholds: Floats,
    missing_right: NDArray[np.bool_],
    leaves: Floats,
    groups: NDArray[np.int32],
    depth: int,
    places: NDArray[np.uint32],
    answers: Floats,
) -> None:
    trees, inner = thresholds.shape
    for first in range(0, trees, TOGETHER):
        count = min(TOGETHER, trees - first)
        for n in range(count):
            places[n] = 0
        for _ in range(depth):
            for n in range(count):
                place = places[n]
                value = row[features[first + n, place]]
                right = (value >= thresholds[first + n, place]) | ((value != value) & missing_right[first + n, place])
                places[n] = 2 * place + 1 + right
        for n in range(count):
            answers[groups[first + n]] += leaves[first + n, places[n] - inner]


@compiled
def _many_rows(
    rows: Floats,
    features: NDArray[np.int32],
    thresholds: Floats,
    missing_right: NDArray[np.bool_],
    leaves: Floats,
    groups: NDArray[np.int32],
    depth: int,
    places: NDArray[np.uint32],
    answers: Floats,
) -> None:
    trees, inner = thresholds.shape
    count = len(rows)
    for tree in range(trees):
        for n in range(count):
            places[n] = 0
        for _ in range(depth):
            for n in range(count):
                place = places[n]
                value = rows[n, features[tree, place]]
                right = (value >= thresholds[tree, place]) | ((value != value) & missing_right[tree, place])
                places[n] = 2 * place + 1 + right
        group = groups[tree]
        for n in range(count):
            answers[n, group] += leaves[tree, places[n] - inner]


@compiled
def _link(margins: Floats, link: int) -> None:
    if link == LOGISTIC:
        for n in range(len(margins)):
            exponent = min(-margins[n], LARGEST_EXPONENT)
            margins[n] = np.float32(1) / (np.exp(exponent) + np.float32(1) + TINY)
    elif link == EXPONENTIAL:
        for n in range(len(margins)):
            margins[n] = np.exp(margins[n])
    elif link == SOFTMAX:
        largest = margins.max()
        total = 0.0
        for n in range(len(margins)):
            margins[n] = np.exp(margins[n] - largest)
            total += margins[n]
        for n in range(len(margins)):
            margins[n] /= np.float32(total)


def warmed() -> Kernel:
    """The kernel, compiled now or read from where an earlier process kept it; takes seconds the first time."""
    one = np.zeros((1, 1), np.float32)
    answer(
        one, np.zeros((1, 1), np.int32), one, np.zeros((1, 1), np.bool_), np.zeros((1, 2), np.float32),
        np.zeros(1, np.int32), np.zeros(1, np.float32), IDENTITY, np.zeros((1, 1), np.float32),
    )  # fmt: skip
    kernel: Kernel = answer
    return kernel
