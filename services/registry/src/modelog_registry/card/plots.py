"""Plots of a model card as SVG that stands in the page itself: metrics with their intervals, and curves of the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelog_registry.card.build import Metric

WIDTH, HEIGHT, EDGE = 320, 60, 12
MOST_POINTS = 200


@dataclass(frozen=True)
class Mark:
    """Where a metric stands on its line, in pixels: its value, and the ends of its interval."""

    at: float
    lower: float
    upper: float


@dataclass(frozen=True)
class CurvePlot:
    """A metric over its steps: the points of a line in pixels, and what it says in words."""

    name: str
    line: str
    told: str


def mark_of(metric: Metric) -> Mark | None:
    """On a line from 0 to 1, or to the next power of ten when it is greater; None without an interval to show."""
    if metric.lower is None or metric.upper is None:
        return None
    values = (metric.value, metric.lower, metric.upper)
    if not all(map(math.isfinite, values)) or min(values) < 0:
        return None
    top = 1.0 if max(values) <= 1 else 10.0 ** math.ceil(math.log10(max(values)))
    at, lower, upper = (round(EDGE + v / top * (WIDTH - 2 * EDGE), 1) for v in values)
    return Mark(at, lower, upper)


def curve_of(name: str, points: Sequence[tuple[int, float]]) -> CurvePlot | None:
    """The finite points in the order of their steps; None when there are fewer than three."""
    finite = sorted((step, value) for step, value in points if math.isfinite(value))
    if len(finite) < 3:
        return None
    some = finite[:: max(1, len(finite) // MOST_POINTS)]
    steps, values = [s for s, _ in some], [v for _, v in some]
    line = " ".join(
        f"{_place(s, steps, WIDTH - 2 * EDGE):.1f},{HEIGHT - _place(v, values, HEIGHT - 2 * EDGE):.1f}" for s, v in some
    )
    way = "rising" if all(a <= b for a, b in pairwise(values)) else "between"
    told = f"{name} over {len(finite)} steps: from {finite[0][1]:.4g} to {finite[-1][1]:.4g}"
    extent = "" if way == "rising" else f", {way} {min(values):.4g} and {max(values):.4g}"
    return CurvePlot(name, line, told + extent)


def _place(value: float, among: Sequence[float], length: float) -> float:
    low, high = min(among), max(among)
    return EDGE + (length / 2 if high == low else (value - low) / (high - low) * length)
