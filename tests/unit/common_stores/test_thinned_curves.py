"""Few points stand for many: whatever the curve, the pieces it comes in, and the part that is asked for."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from modelog_common.stores.curves import Curve, curve_of
from modelog_common.stores.curves.thinning import GATHERED, Thinned, Thinner

VALUES = st.lists(st.floats(), max_size=300)
FEWEST = 4


def thinned(values: list[float], size: int, expected: int, piece: int) -> Thinned:
    thinner = Thinner("m", size, expected)
    for first in range(0, len(values), piece):
        last = min(first + piece, len(values))
        thinner.take(curve_of("m", range(first, last), range(first, last), values[first:last]))
    return thinner.result()


def texts(curve: Curve) -> list[str]:
    return [str(value) for value in curve.values]


@given(values=VALUES, size=st.integers(FEWEST, 40), piece=st.integers(1, 300), long=st.booleans())
def test_ends_and_extremes_stand_whatever_the_curve(values: list[float], size: int, piece: int, long: bool) -> None:
    expected = GATHERED + len(values) if long else len(values)
    got = thinned(values, size, expected, piece)
    assert got.total == len(values)
    assert texts(got.curve) == [str(values[n]) for n in got.curve.steps]
    numbers = [value for value in values if math.isfinite(value)]
    kept = [value for value in got.curve.values if math.isfinite(value)]
    assert got.not_finite == len(values) - len(numbers)
    assert (got.lowest, got.highest) == ((min(numbers), max(numbers)) if numbers else (None, None))
    assert (min(kept, default=None), max(kept, default=None)) == (got.lowest, got.highest)
    assert len(kept) < len(numbers) or kept == numbers
    assert len(got.curve.values) <= size * 3 // 2 + 1
    if values:
        assert (got.curve.steps[0], got.curve.steps[-1]) == (0, len(values) - 1)
    if not long and len(values) <= size:
        assert list(got.curve.steps) == list(range(len(values)))


def test_a_long_curve_is_the_same_in_whatever_pieces_it_comes() -> None:
    values = [math.sin(n / 1000) + (5 if n == 123_456 else 0) for n in range(GATHERED + 50_000)]
    whole, apart = (thinned(values, 500, len(values), piece) for piece in (len(values), 70_001))
    assert whole == apart
    assert 123_456 in whole.curve.steps
    assert 400 < len(whole.curve.values) <= 500
