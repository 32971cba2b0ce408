"""Curves of any length as few points that look the same: of each stretch its lowest and its highest point.

A stretch holds equally many points. Both its extremes are kept, so no spike is lost however few points are asked for.
Steinarsson, "Downsampling Time Series for Visual Representation" (2013), compares ways to do this; his own (LTTB) draws
smoother lines and may leave a spike out.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from itertools import compress
from typing import Literal, NamedTuple

from modelog_common.stores.curves import Curve, curve_of

# Up to so many points are gathered before they are thinned: how many there are is then known and not guessed.
GATHERED = 200_000
# How many points of a long curve are read at once.
PIECE = 100_000


class Span(NamedTuple):
    """A part of a curve: from `first` to `last`, both in it, along its steps or its times."""

    along: Literal["steps", "times"]
    first: int
    last: int


class Thinned(NamedTuple):
    """What is left of `total` points, of which `not_finite` are NaN or infinite; the others are in `lowest`..`highest`.

    At most as many as asked for; beside them, for each stretch that has any, the first that is no number.
    """

    curve: Curve
    total: int
    lowest: float | None
    highest: float | None
    not_finite: int


class Thinner:
    """Takes a curve piece by piece, in order; `expected` is how many points it has about, and never fewer."""

    def __init__(self, name: str, size: int, expected: int, span: Span | None = None) -> None:
        self._name, self._size, self._span = name, size, span
        # Two of each stretch, and the two ends.
        self._stretches = max((size - 2) // 2, 1)
        self._each = math.ceil(expected / self._stretches) if expected > GATHERED else 0
        # The number of a point in the part -> step, time, value.
        self._kept: dict[int, tuple[int, int, float]] = {}
        self._waiting = curve_of(name, (), (), ())
        self._begun = self._not_finite = 0
        self._lowest, self._highest = math.inf, -math.inf

    def take(self, piece: Curve) -> None:
        cut = piece if self._span is None else within(piece, self._span)
        self._waiting.extend(cut)
        if self._each:
            # One is left: it may be the last of all.
            self._thin((len(self._waiting.values) - 1) // self._each * self._each)

    def result(self) -> Thinned:
        """To be asked for once, after the last piece."""
        count = len(self._waiting.values)
        total = self._begun + count
        if not self._each:
            self._each = 1 if count <= self._size else math.ceil(count / self._stretches)
        if count:
            self._keep(count - 1)
            self._thin(count)
        points = [point for _, point in sorted(self._kept.items())]
        curve = curve_of(self._name, (p[0] for p in points), (p[1] for p in points), (p[2] for p in points))
        finite = self._lowest <= self._highest
        lowest, highest = (self._lowest, self._highest) if finite else (None, None)
        return Thinned(curve, total, lowest, highest, self._not_finite)

    def _thin(self, until: int) -> None:
        """Keep what stands for the first `until` points that wait."""
        if until <= 0:
            return
        if self._begun == 0:
            self._keep(0)
        values = self._waiting.values
        for first in range(0, until, self._each):
            for n in self._standing_for(values[first : min(first + self._each, until)]):
                self._keep(first + n)
        name, steps, times, values = self._waiting
        self._waiting = Curve(name, steps[until:], times[until:], values[until:])
        self._begun += until

    def _keep(self, n: int) -> None:
        _, steps, times, values = self._waiting
        self._kept[self._begun + n] = (steps[n], times[n], values[n])

    def _standing_for(self, stretch: array[float]) -> list[int]:
        """Which points of a stretch are kept."""
        numbers = stretch
        kept = []
        if not math.isfinite(sum(stretch)):
            numbers = array("d", (value for value in stretch if math.isfinite(value)))
            kept = [n for n, value in enumerate(stretch) if not math.isfinite(value)][:1]
            self._not_finite += len(stretch) - len(numbers)
        if numbers:
            lowest, highest = min(numbers), max(numbers)
            self._lowest, self._highest = min(self._lowest, lowest), max(self._highest, highest)
            kept += [stretch.index(lowest), stretch.index(highest)]
        return kept


def within(curve: Curve, span: Span) -> Curve:
    """The points of a span, in their order."""
    name, steps, times, values = curve
    if span.along == "steps":
        cut = slice(bisect_left(steps, span.first), bisect_right(steps, span.last))
        return Curve(name, steps[cut], times[cut], values[cut])
    inside = [span.first <= at <= span.last for at in times]
    return curve_of(name, compress(steps, inside), compress(times, inside), compress(values, inside))
