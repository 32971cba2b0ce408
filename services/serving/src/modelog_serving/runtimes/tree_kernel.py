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
# Rows without missing values: so many places are held in the processor's registers.
LANES = 8
# XGBoost's own bounds for exp in float32 (src/common/math.h).
LARGEST_EXPONENT = np.float32(88.7)
TINY = np.float32(1e-16)

Floats = NDArray[np.float32]
# Unsigned: of other numbers each step would look whether they count from the end.
Indices = NDArray[np.uint32]
Kernel = Callable[..., None]
compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def answer(
    rows: Floats,
    features: Indices,
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
    if len(rows) == 1:
        _through_many_trees(rows[0], features, thresholds, missing_right, leaves, groups, depth, places, answers[0])
    else:
        for first in range(0, len(rows), LANES):
            last = min(first + LANES, len(rows))
            if _miss(rows[first:last]):
                _many_rows(
                    rows[first:last], features, thresholds, missing_right, leaves, groups, depth, places,
                    answers[first:last],
                )  # fmt: skip
            else:
                _whole_rows(rows[first:last], features, thresholds, leaves, groups, depth, answers[first:last])
    for row in range(len(rows)):
        _link(answers[row], link)


@compiled
def _miss(rows: Floats) -> bool:
    """Whether a value is missing."""
    missing = False
    for row in range(len(rows)):
        for feature in range(rows.shape[1]):
            missing |= rows[row, feature] != rows[row, feature]
    return missing


@compiled
def _step(place: np.uint64, row: Floats, features: Indices, thresholds: Floats) -> np.uint64:
    """From a node to its child."""
    right = row[features[place]] >= thresholds[place]
    return place + place + np.uint64(1) + np.uint64(right)


@compiled
def _whole_rows(
    rows: Floats,
    features: Indices,
    thresholds: Floats,
    leaves: Floats,
    groups: NDArray[np.int32],
    depth: int,
    answers: Floats,
) -> None:
    """Up to LANES rows that miss nothing. Where there are fewer the last goes several times, and counts once."""
    count, last, inner = len(rows), len(rows) - 1, np.uint64(thresholds.shape[1])
    first, second, third, fourth = rows[0], rows[min(1, last)], rows[min(2, last)], rows[min(3, last)]
    fifth, sixth, seventh, eighth = rows[min(4, last)], rows[min(5, last)], rows[min(6, last)], rows[min(7, last)]
    for tree in range(len(thresholds)):
        asked, limits, found, group = features[tree], thresholds[tree], leaves[tree], groups[tree]
        # By name, for what is in an array is in memory.
        a = b = c = d = e = f = g = h = np.uint64(0)
        for _ in range(depth):
            a = _step(a, first, asked, limits)
            b = _step(b, second, asked, limits)
            c = _step(c, third, asked, limits)
            d = _step(d, fourth, asked, limits)
            e = _step(e, fifth, asked, limits)
            f = _step(f, sixth, asked, limits)
            g = _step(g, seventh, asked, limits)
            h = _step(h, eighth, asked, limits)
        for row, place in enumerate((a, b, c, d, e, f, g, h)):
            if row < count:
                answers[row, group] += found[place - inner]


@compiled
def _through_many_trees(
    row: Floats,
    features: Indices,
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
    features: Indices,
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
        one, np.zeros((1, 1), np.uint32), one, np.zeros((1, 1), np.bool_), np.zeros((1, 2), np.float32),
        np.zeros(1, np.int32), np.zeros(1, np.float32), IDENTITY, np.zeros((1, 1), np.float32),
    )  # fmt: skip
    kernel: Kernel = answer
    return kernel
